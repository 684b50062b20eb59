"""The baseline as TFX runs it: statistics in; out a standard `Model` whose properties say which one it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx import types
from tfx.types import artifact_utils, standard_artifacts

from taxiway.components.baseline import naive
from taxiway.components.baseline.component import Baseline, BaselineExecutor
from taxiway.components.baseline.driver import NOTHING_LIVE, LiveModelDriver, identify_live_model
from taxiway.components.errors import ServingError
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
    naive.save_model(naive.compute_scores(statistics([0, 1]), "label", "binary"), "binary", tmp_path / "serving" / "7")
    model = run(inputs, tmp_path)
    assert model.get_string_custom_property("kind") == "live" and model.get_int_custom_property("version") == 7


def test_the_component_builds() -> None:
    channel = types.Channel(type=standard_artifacts.ExampleStatistics)
    made = Baseline(statistics=channel, serving_directory="/s/taxi", label="label", task="binary", fingerprint="7")
    assert made.id == "Baseline" and made.exec_properties["fingerprint"] == "7"


def save_live(folder: Path, values: list[float]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    naive.save_model(naive.compute_scores(statistics(values), "label", "binary"), "binary", folder)


def test_the_cache_sees_another_live_version_and_other_bytes_of_one(tmp_path: Path) -> None:
    properties = {"serving_directory": str(tmp_path / "serving"), "task": "binary"}
    seen = [identify_live_model(properties)]
    for number, values in ((7, [0, 1]), (7, [0, 0, 1]), (8, [0, 0, 1])):
        save_live(tmp_path / "serving" / str(number), values)
        seen.append(identify_live_model(properties))
        assert identify_live_model(properties) == seen[-1]
    assert seen[0] == NOTHING_LIVE and len(set(seen)) == 4
    (tmp_path / "serving" / "8" / "saved_model.pb").unlink()
    assert identify_live_model(properties) != identify_live_model(properties)


def refuse_all(folder: Path, allowed_ops: list[str]) -> None:
    raise ServingError(f"{folder} may not be loaded", "Nothing helps.")


def test_what_may_not_be_loaded_or_compared_is_never_taken_from_the_cache(tmp_path: Path) -> None:
    """Another release may refuse what this one loads: the verdict of that day's code counts."""
    save_live(tmp_path / "serving" / "7", [0, 1])
    properties = {"serving_directory": str(tmp_path / "serving"), "task": "binary"}
    assert identify_live_model(properties) == identify_live_model({**properties, "check": ""})
    for other in ({"task": "regression"}, {"check": f"{__name__}.refuse_all"}, {"check": "no.such.function"}):
        seen = {identify_live_model({**properties, **other}) for _ in range(2)}
        assert len(seen) == 2, other


def test_interactive_contexts_make_the_driver_by_the_name_of_its_argument() -> None:
    assert LiveModelDriver(metadata_handle=None)
