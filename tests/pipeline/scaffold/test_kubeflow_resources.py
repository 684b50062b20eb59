"""`taxiway compile --write-resources` makes a configuration that a cluster can run."""

from __future__ import annotations

import pytest

from taxiway.components.errors import ConfigError, UsageError
from taxiway.pipeline import cli
from taxiway.pipeline.config import DEFAULT_CONFIG, load_config
from taxiway.pipeline.scaffold.kubeflow_resources import ClusterPlaces, write_resources

PLACES = ClusterPlaces("registry.example/taxiway:1", "taxiway")


@pytest.fixture()
def config(tmp_path):
    file = tmp_path / "fares.yaml"
    file.write_text(DEFAULT_CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
    return file


def test_image_and_volume_are_written_and_the_rest_stays(config):
    before = config.read_text()
    assert write_resources(config, PLACES) == config
    kubeflow = load_config(config).resources.kubeflow
    assert kubeflow.image == "registry.example/taxiway:1" and kubeflow.pipeline_root == ""
    assert [(volume.claim, volume.mount_path) for volume in kubeflow.default.volumes] == [("taxiway", "/taxiway")]
    assert config.read_text().startswith(before.rstrip("\n"))


def test_what_is_written_again_takes_the_place_of_the_old(config):
    write_resources(config, PLACES)
    once = config.read_text()
    write_resources(config, PLACES)
    assert config.read_text() == once
    write_resources(config, ClusterPlaces(pipeline_root="s3://bucket/pipelines"))
    kubeflow = load_config(config).resources.kubeflow
    assert (kubeflow.image, kubeflow.pipeline_root) == ("registry.example/taxiway:1", "s3://bucket/pipelines")


def test_other_volumes_stay(config):
    config.write_text(
        config.read_text()
        + "\nresources:\n  kubeflow:\n    root: /data/root\n    default:\n      retries: 2\n      volumes:\n"
        + "        - {claim: raw, mount_path: /raw}\n        - {claim: old, mount_path: /data/root}\n"
    )
    write_resources(config, PLACES)
    default = load_config(config).resources.kubeflow.default
    assert [(volume.claim, volume.mount_path) for volume in default.volumes] == [
        ("taxiway", "/data/root"),
        ("raw", "/raw"),
    ]
    assert default.retries == 2


def test_what_init_writes_is_filled_in(tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("a,b\n" + "".join(f"{n},{n % 2}\n" for n in range(400)))
    file = tmp_path / "rows.yaml"
    assert cli.run(["init", str(data), "--label", "b", "-o", str(file)]) == 0
    comments = [line for line in file.read_text().splitlines() if line.strip().startswith("#")]
    write_resources(file, PLACES)
    kubeflow = load_config(file).resources.kubeflow
    assert kubeflow.image == PLACES.image and kubeflow.default.volumes[0].claim == "taxiway"
    assert [line for line in file.read_text().splitlines() if line.strip().startswith("#")] == comments


def test_without_a_configuration_the_example_is_copied_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(write_resources(None, PLACES)) == "taxi.yaml"
    assert load_config(tmp_path / "taxi.yaml").resources.kubeflow.image == PLACES.image
    with pytest.raises(UsageError, match="exists already"):
        write_resources(None, PLACES)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (ClusterPlaces(), "Missing: --image"),
        (ClusterPlaces(image="x:1"), "Missing: --claim"),
        (ClusterPlaces("x:1", "My Claim"), "no name of a claim"),
        (ClusterPlaces("x 1", "claim"), "no name of an image"),
        (ClusterPlaces("x:1", "claim", "/local"), "no folder of an object store"),
    ],
)
def test_what_only_the_user_knows(config, places, said):
    before = config.read_text()
    with pytest.raises(UsageError, match=said):
        write_resources(config, places)
    assert config.read_text() == before


def test_an_anchor_is_not_broken_in_silence(config):
    config.write_text(
        config.read_text().replace("name: taxi", "name: &n taxi") + "\nresources:\n  kubeflow: {image: *n}\n"
    )
    before = config.read_text()
    with pytest.raises(UsageError, match="refers to an anchor"):
        write_resources(config, PLACES)
    assert config.read_text() == before


def test_a_configuration_that_is_wrong(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("name: 1\n")
    with pytest.raises(ConfigError):
        write_resources(file, PLACES)


def test_wrong_usage(config, capsys):
    for arguments, said in (
        ((), "No file to write"),
        (("--image", "x:1"), "Add --write-resources"),
        (("--write-resources",), "Missing: --image"),
    ):
        assert cli.run(["compile", str(config), *arguments]) == 2
        assert said in capsys.readouterr().err
