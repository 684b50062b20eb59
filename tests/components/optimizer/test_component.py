"""The component's interface, and its executor from artifacts to a job. Imports TFX."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.types import channel, standard_artifacts

from components import artifacts
from components.errors import ConfigError
from components.optimizer import executor
from components.optimizer.component import ModelOptimizer
from components.optimizer.config import OptimizationConfig
from tests.components.optimizer.conftest import job

INPUTS = {
    "model": standard_artifacts.Model,
    "transform_graph": standard_artifacts.TransformGraph,
    "transformed_examples": standard_artifacts.Examples,
    "examples": standard_artifacts.Examples,
    "schema": standard_artifacts.Schema,
}


def component(**changes: object) -> ModelOptimizer:
    channels = {name: channel.Channel(type=kind) for name, kind in INPUTS.items()}
    return ModelOptimizer(**{**channels, "label": "label", "task": "binary", **changes})


def artifact(kind: type, uri: Path) -> list:
    made = kind()
    made.uri = str(uri)
    return [made]


def test_outputs_and_types():
    made = component()
    assert set(made.outputs) == {"model", "report"}
    assert made.outputs["report"].type_name == "taxiway.OptimizationReport"
    exporting = component(config=OptimizationConfig(exports=("onnx",)).model_dump_json())
    assert exporting.outputs["exports"].type_name == "taxiway.ExportedModel"


def test_what_is_wrong_is_said_when_the_pipeline_is_built():
    with pytest.raises(ConfigError, match="pr_auc"):
        component(metric="prauc")
    with pytest.raises(ValueError, match="Extra inputs"):
        component(config='{"objectiv": "size"}')


def test_the_executor_runs_the_search_and_names_the_choice(small, tmp_path):
    asked = job(small, tmp_path, variants=["frozen"])
    places = {"model": small / "model", "examples": small / "examples", "schema": small / "schema"}
    inputs = {name: artifact(kind, places.get(name, tmp_path / "none")) for name, kind in INPUTS.items()}
    inputs["trained_model"] = inputs.pop("model")
    outputs = {
        "model": artifact(standard_artifacts.Model, tmp_path / "out" / "model"),
        "report": artifact(artifacts.OptimizationReport, tmp_path / "out" / "report"),
    }
    properties = {
        "config": asked.config.model_dump_json(),
        "task": "binary",
        "label": "label",
        "metric": "auc",
        "slices": "[]",
    }
    executor.Executor().Do(inputs, outputs, properties)
    assert outputs["report"][0].get_string_custom_property("chosen") in ("reference", "frozen")
    assert (tmp_path / "out" / "model" / "Format-Serving" / "saved_model.pb").exists()
    assert (tmp_path / "out" / "report" / "report.json").exists()
    assert (tmp_path / "out" / "report" / executor.LOG_FILE).exists()


def test_a_blessing_that_says_no_is_seen():
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", 0)
    assert not executor._blessed([blessing])
    assert executor._blessed([])
