"""The component's interface, and its executor from artifacts to a job. Imports TFX."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.types import channel, standard_artifacts

from taxiway.components import artifacts
from taxiway.components.errors import ConfigError, OptimizationError
from taxiway.components.optimizer import executor
from taxiway.components.optimizer.component import ModelOptimizer
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.report import read_report
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
    exporting = component(config=OptimizationConfig(exports=("onnx",)))
    assert exporting.outputs["exports"].type_name == "taxiway.ExportedModel"


def test_what_is_wrong_is_said_when_the_pipeline_is_built():
    with pytest.raises(ConfigError, match="pr_auc"):
        component(metric="prauc")
    with pytest.raises(ConfigError, match=r"unknown key 'objectiv'\. Did you mean 'objective'"):
        component(config={"objectiv": "size"})
    with pytest.raises(ConfigError, match=r"Pass OptimizationConfig\(...\) or a dict"):
        component(config='{"objective": "size"}')
    for metric in ("", "auc"):
        with pytest.raises(ConfigError, match="task is 2, which is no task"):
            component(task=2, metric=metric)
    with pytest.raises(ConfigError, match=r"'auc' of a regression task(.|\n)*rmse"):
        component(task="regression", metric="auc")


def test_the_kill_comes_after_all_own_limits_of_the_search_and_names_the_budget(small, tmp_path, monkeypatch):
    config = OptimizationConfig()
    assert executor.compute_time_limit(config) > config.budget_seconds + 3 * config.required_seconds
    assert executor.compute_time_limit(OptimizationConfig(budget_seconds=900)) > 3 * 4 * 900
    monkeypatch.setattr(executor, "compute_time_limit", lambda config: 0.2)
    asked = job(small, tmp_path, variants=["frozen"])
    Path(asked.report_uri).mkdir(parents=True)
    with pytest.raises(OptimizationError, match=r"did not end within 0.2 s and was killed.*optimizer.log") as caught:
        executor._run_search(asked)
    assert "optimization.budget_seconds is 600" in caught.value.remedy


def test_the_executor_runs_the_search_and_hands_on_the_choice(small, tmp_path):
    asked = job(small, tmp_path, variants=["frozen"], objective="size")  # a third smaller, whatever the machine
    places = {"model": small / "model", "examples": small / "examples", "schema": small / "schema"}
    inputs = {name: artifact(INPUTS[name], place) for name, place in places.items()}  # no transform
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
    assert [outputs[name][0].get_string_custom_property("chosen") for name in outputs] == ["frozen", "frozen"]
    report = read_report(tmp_path / "out" / "report")
    assert report.decision.chosen == "frozen"
    servable = tmp_path / "out" / "model" / "Format-Serving"
    assert (servable / "saved_model.pb").exists()
    assert not (servable / "variables").exists()  # which the trained model has, and a frozen one does not
    assert (tmp_path / "out" / "report" / executor.LOG_FILE).exists()


def test_a_blessing_that_says_no_is_seen():
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", 0)
    assert not executor._is_blessed([blessing])
    assert executor._is_blessed([])
