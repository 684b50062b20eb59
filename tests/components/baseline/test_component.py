"""The baseline as TFX runs it: statistics in, a standard `Model` out, and what it is in its properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tfx import types
from tfx.types import artifact_utils, standard_artifacts

from components.baseline import naive
from components.baseline.component import Baseline, BaselineExecutor
from tests.components.baseline.test_core import statistics


def artifact(kind: Any, folder: Path) -> Any:
    made = kind()
    made.uri = str(folder)
    return made


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, list[Any]]:
    made = artifact(standard_artifacts.ExampleStatistics, tmp_path / "statistics")
    made.split_names = artifact_utils.encode_split_names(["train", "eval"])
    for split, values in (("train", [0, 0, 0, 1]), ("eval", [1, 1, 1, 1])):
        folder = tmp_path / "statistics" / f"Split-{split}"
        folder.mkdir(parents=True)
        (folder / "FeatureStats.pb").write_bytes(statistics([float(v) for v in values]).SerializeToString())
    return {"statistics": [made]}


def run(inputs: dict[str, list[Any]], tmp_path: Path) -> Any:
    model = artifact(standard_artifacts.Model, tmp_path / "model")
    properties = {"serving_directory": str(tmp_path / "serving"), "label": "label", "task": "binary", "split": "train"}
    BaselineExecutor().Do(inputs, {"model": [model]}, properties)
    return model


def test_naive_from_the_training_split(inputs: dict[str, list[Any]], tmp_path: Path) -> None:
    model = run(inputs, tmp_path)
    assert model.get_string_custom_property("kind") == "naive"
    assert (tmp_path / "model" / "Format-Serving" / "saved_model.pb").exists()


def test_live_with_its_version(inputs: dict[str, list[Any]], tmp_path: Path) -> None:
    naive.save(naive.scores(statistics([0, 1]), "label", "binary"), "binary", tmp_path / "serving" / "7")
    model = run(inputs, tmp_path)
    assert model.get_string_custom_property("kind") == "live" and model.get_int_custom_property("version") == 7


def test_the_component_builds() -> None:
    channel = types.Channel(type=standard_artifacts.ExampleStatistics)
    made = Baseline(statistics=channel, serving_directory="/s/taxi", label="label", task="binary", fingerprint="7")
    assert made.id == "Baseline" and made.exec_properties["fingerprint"] == "7"
