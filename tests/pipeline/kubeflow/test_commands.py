"""What `taxiway compile` says of a configuration that was not made for a cluster."""

from __future__ import annotations

import pytest

from taxiway.components.errors import ConfigError
from taxiway.pipeline.config import load_config
from taxiway.pipeline.kubeflow import commands
from tests.pipeline.kubeflow.conftest import taxi


def test_the_example_is_told_one_sentence_for_each_thing_and_one_command(changed, monkeypatch, tmp_path):
    def name_no_image(spec):
        for executor in spec["deploymentSpec"]["executors"].values():
            executor["container"]["image"] = "image-not-set"

    monkeypatch.setattr(commands, "_compile_config", lambda *_: changed(name_no_image, load_config()))
    with pytest.raises(ConfigError) as caught:
        commands.compile_to_file(tmp_path / "pipeline.yaml", tmp_path / "my taxi.yaml", (), "kfp")
    lines = caught.value.problem.splitlines()
    assert len(lines) == 3 and "No image is named" in lines[1] and "on no volume of any step" in lines[2]
    assert f"taxiway compile '{tmp_path}/my taxi.yaml' --write-resources --image IMAGE --claim" in caught.value.remedy


def test_a_single_step_without_the_volume_is_named(changed, monkeypatch, tmp_path):
    config = taxi({"components": {"Trainer": {"volumes": []}}})
    monkeypatch.setattr(commands, "_compile_config", lambda *_: changed(config=config))
    with pytest.raises(ConfigError, match=r"on no volume of Trainer\.") as caught:
        commands.compile_to_file(tmp_path / "pipeline.yaml", None, (), "kfp")
    assert "doctor --target" in caught.value.remedy
