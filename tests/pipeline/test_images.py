"""The images that `resources` names are those of the installed stack."""

import pytest

from taxiway.components.errors import ConfigError
from taxiway.pipeline import stacks
from taxiway.pipeline.images import resolve_images
from taxiway.pipeline.resources import BeamConfig, KubeflowConfig


@pytest.fixture(autouse=True)
def _current(monkeypatch):
    monkeypatch.setattr(stacks, "find_installed_stack", lambda: stacks.CURRENT)


def read_kubeflow(**settings):
    return KubeflowConfig.model_validate(settings)


def test_every_image_of_a_section_names_the_stack():
    nodes = {"Trainer": {"image": "gpu:1-{stack}-gpu"}, "Transform": {"cpu_cores": 2}}
    made = resolve_images(read_kubeflow(image="a:1-{stack}", default={"image": "b:1-{stack}"}, components=nodes))
    assert (made.image, made.default.image) == ("a:1-current", "b:1-current")
    assert made.resolve_resources("Trainer").image == "gpu:1-current-gpu"
    assert made.resolve_resources("Transform").image == "b:1-current", "what is not set still is the default's"
    assert resolve_images(made) == made
    assert resolve_images(BeamConfig(runner="dataflow", image="c:1-{stack}")).image == "c:1-current"
    assert resolve_images(BeamConfig()) == BeamConfig() and resolve_images(read_kubeflow()) == read_kubeflow()


@pytest.mark.parametrize("place", ["image", "default", "components"])
def test_an_image_of_another_stack_is_refused_wherever_it_stands(place):
    other = {"image": "taxiway:1-tf216"}
    settings = {"image": other, "default": {"default": other}, "components": {"components": {"Trainer": other}}}[place]
    with pytest.raises(ConfigError, match="is of the stack tf216"):
        resolve_images(read_kubeflow(**settings))
