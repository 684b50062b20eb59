"""The TFX side: artifacts in; blessing, push and what is recorded of both out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx import types
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils
from tfx.types import artifact_utils, standard_artifacts

from taxiway.components import artifacts
from taxiway.components.errors import OptimizationError
from taxiway.components.serving.component import Pusher, ServingValidator
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.executor import PusherExecutor, ServingValidatorExecutor
from taxiway.components.serving.versions.directory import ServingDirectory
from tests.components.serving import models

VALIDATING = ServingConfig(validate_over="process", validation_rows=40)
CONFIG = VALIDATING.model_dump_json()


def artifact(kind: Any, folder: Path) -> Any:
    made = kind()
    made.uri = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture
def inputs(tmp_path: Path, taxi_model: Path) -> dict[str, list[Any]]:
    """The inputs of both components: the candidate is the trained model."""
    candidate, trained = (
        artifact(standard_artifacts.Model, tmp_path / "m"),
        artifact(standard_artifacts.Model, tmp_path / "t"),
    )
    for model in (candidate, trained):
        shutil.copytree(taxi_model, Path(model.uri, "Format-Serving"))
    examples = artifact(standard_artifacts.Examples, tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    examples.set_int_custom_property("span", 4)
    models.write_examples(Path(examples.uri, "Split-eval", "data.gz"), models.rows(60))
    report = artifact(artifacts.OptimizationReport, tmp_path / "report")
    variant = {"name": "frozen", "output_error": {"max": 0.25}, "quality": {"value": {"value": 0.9}}}
    content = {"version": 1, "metric": "auc", "decision": {"chosen": "frozen"}, "variants": [variant]}
    Path(report.uri, "report.json").write_text(json.dumps(content))
    return {"model": [candidate], "trained_model": [trained], "examples": [examples], "optimization_report": [report]}


def validate(inputs: dict[str, list[Any]], tmp_path: Path, config: str = CONFIG) -> tuple[Any, dict[str, Any]]:
    blessing = artifact(standard_artifacts.InfraBlessing, tmp_path / "blessing")
    report = artifact(artifacts.ServingReport, tmp_path / "serving_report")
    properties = {"config": config, "label": "tip", "task": "binary", "model_name": "taxi", "split": "eval"}
    ServingValidatorExecutor().Do(inputs, {"blessing": [blessing], "report": [report]}, properties)
    return blessing, json.loads(Path(report.uri, "report.json").read_text())


@pytest.mark.parametrize("input_changes", ["report", "block"])
def test_inputs_that_the_live_version_does_not_know_any_more(
    inputs: dict[str, list[Any]], tmp_path: Path, taxi_model: Path, input_changes: Any
) -> None:
    live = artifact(standard_artifacts.Model, tmp_path / "live")
    shutil.copytree(taxi_model, Path(live.uri, "Format-Serving"))
    path = Path(live.uri, "Format-Serving", "assets.extra", "signature_inputs.json")
    content = json.loads(path.read_text())
    content["inputs"]["age"] = {"column": "Age", "dtype": "float32", "default": 0.0}
    path.write_text(json.dumps(content))
    config = ServingConfig(validate_over="process", validation_rows=40, input_changes=input_changes)
    blessing, report = validate(inputs | {"baseline_model": [live]}, tmp_path, config.model_dump_json())
    assert report["figures"]["input_changes"] == ["the input 'age' (column 'Age') is gone"]
    assert blessing.get_int_custom_property("blessed") == int(input_changes == "report")
    assert ("the input 'age' (column 'Age') is gone" in report["reason"]) == (input_changes == "block")


def push(inputs: dict[str, list[Any]], tmp_path: Path, **properties: Any) -> Any:
    pushed = artifact(standard_artifacts.PushedModel, tmp_path / "pushed")
    destination = {"filesystem": {"base_directory": str(tmp_path / "serving" / "taxi")}}
    given = {"config": CONFIG, "model_name": "taxi", "run_id": "r7", "code_fingerprint": "c", "force": 0} | properties
    PusherExecutor().Do(inputs, {"pushed_model": [pushed]}, {"push_destination": json.dumps(destination), **given})
    return pushed


def test_validated_and_pushed(inputs: dict[str, list[Any]], tmp_path: Path) -> None:
    blessing, report = validate(inputs, tmp_path)
    assert blessing.get_int_custom_property("blessed") == 1 and report["blessed"]
    assert Path(blessing.uri, "INFRA_BLESSED").exists()
    assert all(f["limit"] >= 0.25 for f in report["findings"] if f["check"] == "serving_raw in batches of 7")
    pushed = push(inputs | {"infra_blessing": [blessing]}, tmp_path)
    assert pushed.get_int_custom_property("pushed") == 1
    live = ServingDirectory(tmp_path / "serving" / "taxi").find_live()
    assert str(live.number) == pushed.get_string_custom_property("pushed_version")
    assert str(live.path) == pushed.get_string_custom_property("pushed_destination")
    record = live.provenance
    assert (record["run_id"], record["variant"], record["data"]["span"]) == ("r7", "frozen", 4)
    again = push(inputs | {"infra_blessing": [blessing]}, tmp_path)
    assert again.get_int_custom_property("pushed") == 0 and "live already" in again.get_string_custom_property("reason")
    assert push(inputs, tmp_path, force=1).get_int_custom_property("pushed") == 1


@pytest.mark.parametrize("span", [0, 4])
def test_span_and_fingerprint_survive_kubeflows_metadata(
    inputs: dict[str, list[Any]], tmp_path: Path, span: int
) -> None:
    """There every number is a float in a JSON value (`kubeflow_v2_entrypoint_utils.py` writes and reads them)."""
    made = inputs["examples"][0]
    made.set_int_custom_property("span", span)
    made.set_string_custom_property("input_fingerprint", "f00")
    there = kubeflow_v2_entrypoint_utils.to_runtime_artifact(made, {})
    there.type.schema_title = "tfx.Examples"
    read = kubeflow_v2_entrypoint_utils._parse_raw_artifact(there, {})
    push(inputs | {"examples": [read]}, tmp_path)
    data = ServingDirectory(tmp_path / "serving" / "taxi").find_live().provenance["data"]
    assert data["span"] == span and isinstance(data["span"], int) and data["input_fingerprint"] == "f00"


def test_a_candidate_that_answers_otherwise_is_not_pushed(inputs: dict[str, list[Any]], tmp_path: Path) -> None:
    candidate = Path(inputs["model"][0].uri, "Format-Serving")
    shutil.rmtree(candidate)
    models.write_model(candidate, offset=0.5)
    blessing, report = validate(inputs, tmp_path)
    assert blessing.get_int_custom_property("blessed") == 0 and not report["blessed"]
    pushed = push(inputs | {"infra_blessing": [blessing]}, tmp_path)
    assert pushed.get_int_custom_property("pushed") == 0
    assert "largest difference from the trained model" in pushed.get_string_custom_property("reason")
    assert ServingDirectory(tmp_path / "serving" / "taxi").find_live() is None


def test_a_model_that_the_evaluator_refused_is_not_pushed(inputs: dict[str, list[Any]], tmp_path: Path) -> None:
    refusal = artifact(standard_artifacts.ModelBlessing, tmp_path / "refusal")
    refusal.set_int_custom_property("blessed", 0)
    pushed = push(inputs | {"model_blessing": [refusal]}, tmp_path)
    assert "the evaluation did not bless it" in pushed.get_string_custom_property("reason")


def test_an_optimization_report_of_another_format_version_is_refused(
    inputs: dict[str, list[Any]], tmp_path: Path
) -> None:
    Path(inputs["optimization_report"][0].uri, "report.json").write_text('{"version": 2}')
    for attempt in (validate, push):
        with pytest.raises(OptimizationError, match="format version 2; this Taxiway reads version 1"):
            attempt(inputs, tmp_path)


def test_the_components_build() -> None:
    model = types.Channel(type=standard_artifacts.Model)
    examples = types.Channel(type=standard_artifacts.Examples)
    report = types.Channel(type=artifacts.OptimizationReport)
    validator = ServingValidator(
        model=model,
        trained_model=model,
        examples=examples,
        optimization_report=report,
        label="tip",
        task="binary",
        config=VALIDATING,
        model_name="taxi",
    )
    pusher = Pusher(
        model=model,
        infra_blessing=validator.outputs["blessing"],
        optimization_report=report,
        examples=examples,
        serving_directory="/serving/taxi",
        model_name="taxi",
        config={"versions_kept": 2},
        force=True,
    )
    assert pusher.id == "Pusher" and pusher.exec_properties["force"] == 1
    assert set(validator.outputs) == {"blessing", "report"}
