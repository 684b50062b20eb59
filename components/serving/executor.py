"""Executors of the serving validator and the pusher: artifacts to paths and back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tfx.components.pusher import executor as tfx_pusher
from tfx.dsl.components.base import base_executor
from tfx.proto import pusher_pb2
from tfx.types import Artifact, artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from taxiway.components.contract import LINEAGE_VARIABLE, READING_RULES_FILE, TRAIN_SPLIT, serving_model_dir
from taxiway.components.errors import ConfigError
from taxiway.components.files.versioned_report import OPTIMIZATION_REPORT
from taxiway.components.processes import progress
from taxiway.components.saved_models import training_reference
from taxiway.components.saved_models.signature_inputs import read_signature_inputs
from taxiway.components.schema_file import read_schema
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.validation import start
from taxiway.components.serving.validation.comparison import REPORT_FILE
from taxiway.components.serving.versions import provenance, push, staging
from taxiway.components.serving.versions.push_result import PushResult
from taxiway.components.tfx_artifacts import read_classes, read_statistics

Artifacts = dict[str, list[Artifact]]
BLESSED_FILE, NOT_BLESSED_FILE = "INFRA_BLESSED", "INFRA_NOT_BLESSED"


def _get_single(artifacts: Artifacts, key: str) -> Artifact | None:
    return artifact_utils.get_single_instance(artifacts[key]) if artifacts.get(key) else None


def _read_optimization_report(artifacts: Artifacts) -> dict[str, Any]:
    """The optimizer's report, or an empty one where the pipeline has no optimizer.

    Raises:
        OptimizationError: The report has another format version.
    """
    artifact = _get_single(artifacts, "optimization_report")
    return OPTIMIZATION_REPORT.read_report(Path(artifact.uri, "report.json")) if artifact else {}


class ServingValidatorExecutor(base_executor.BaseExecutor):
    """Tries the candidate in a process of its own and writes the verdict."""

    def Do(  # noqa: N802
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        config = ServingConfig.model_validate_json(exec_properties["config"])
        written = artifact_utils.get_single_instance(output_dict["report"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        for artifact in (written, blessing):
            Path(artifact.uri).mkdir(parents=True, exist_ok=True)
        progress.report_progress("ServingValidator", f"trying {config.validation_rows} rows through every signature")
        _hand_over_training_data(input_dict, exec_properties["label"], Path(blessing.uri))
        report = start.run_validation(
            _build_job(input_dict, exec_properties, config, blessing),
            Path(written.uri, "log.txt"),
            config.timeout_seconds,
        )
        Path(written.uri, REPORT_FILE).write_text(json.dumps(report, indent=2), encoding="utf-8")
        _write_blessing(blessing, report)
        progress.report_progress("ServingValidator", _summarize_report(report), 1.0)


def _hand_over_training_data(inputs: Artifacts, label: str, folder: Path) -> None:
    """Statistics and schema of the model's columns for the version's `assets.extra/`, where the pipeline has them."""
    statistics, schema = _get_single(inputs, "statistics"), _get_single(inputs, "schema")
    if statistics is None:
        return
    splits = read_statistics(inputs)
    if TRAIN_SPLIT in splits:
        model = serving_model_dir(artifact_utils.get_single_uri(inputs["model"]))
        columns = {entry.column for entry in read_signature_inputs(model).values()}
        training_reference.write_training_data(
            folder,
            splits[TRAIN_SPLIT],
            read_schema(schema.uri) if schema is not None else None,
            {*columns, label} if columns else (),
        )


def _summarize_report(report: dict[str, Any]) -> str:
    if not report["blessed"]:
        return f"refused: {report['reason']}"
    return "; ".join(["blessed", *report["figures"].get("input_changes", ())])


def _build_job(
    inputs: Artifacts, properties: dict[str, Any], config: ServingConfig, blessing: Artifact
) -> dict[str, Any]:
    split = artifact_utils.get_split_uri(inputs["examples"], properties["split"])
    live = _get_single(inputs, "baseline_model")
    return {
        "candidate": serving_model_dir(artifact_utils.get_single_uri(inputs["model"])),
        "trained": serving_model_dir(artifact_utils.get_single_uri(inputs.get("trained_model") or inputs["model"])),
        "live": serving_model_dir(live.uri) if live else "",
        "files": sorted(str(file) for file in Path(split).iterdir() if file.is_file()),
        "label": properties["label"],
        "task": properties["task"],
        "split": properties["split"],
        "classes": read_classes(inputs),
        "prediction_output": properties.get("prediction_output") or "",
        "model_name": properties["model_name"],
        "config": config.model_dump_json(),
        "allowed_error": provenance.compute_allowed_error(_read_optimization_report(inputs), config.max_output_error),
        "extra_files": blessing.uri,
    }


def _write_blessing(blessing: Artifact, report: dict[str, Any]) -> None:
    blessing.set_int_custom_property("blessed", int(report["blessed"]))
    blessing.set_string_custom_property("digest", report["digest"])
    blessing.set_string_custom_property("reason", report["reason"])
    Path(blessing.uri, BLESSED_FILE if report["blessed"] else NOT_BLESSED_FILE).write_bytes(b"")


class PusherExecutor(tfx_pusher.Executor):
    """TFX's blessing check, our push: atomic, versioned, reversible."""

    def Do(  # noqa: N802
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        Path(pushed.uri).mkdir(parents=True, exist_ok=True)
        base = _parse_base_directory(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY])
        staging.check_disk_space(Path(pushed.uri), ())  # what records the push may lie on another disk than the version
        if self.CheckBlessing(input_dict):
            result = self._push_model(base, input_dict, exec_properties)
        else:
            result = push.make_refused_result(base, _explain_refusal(input_dict))
        _record_push(pushed, result)
        progress.report_progress("Pusher", result.reason, 1.0)

    def _push_model(self, base: str, inputs: Artifacts, properties: dict[str, Any]) -> PushResult:
        config = ServingConfig.model_validate_json(properties["config"])
        infra_blessing = _get_single(inputs, standard_component_specs.INFRA_BLESSING_KEY)
        return push.push_model(
            self.GetModelPath(inputs),
            base,
            properties["model_name"],
            _build_provenance(inputs, properties, self._find_run_id(properties)),
            config,
            expected_digest=infra_blessing.get_string_custom_property("digest") if infra_blessing else "",
            validated=infra_blessing.uri if infra_blessing else None,
            lineage=os.environ.get(LINEAGE_VARIABLE),
            reading_rules=_find_reading_rules(inputs),
            force=bool(properties["force"]),
        )

    def _find_run_id(self, properties: dict[str, Any]) -> str:
        """The run's id: what Kubeflow has put into the property, else what the launcher says."""
        given = str(properties.get("run_id") or "")
        launched = self._context.pipeline_run_id if self._context else None
        return given if given and not given.startswith("{{") else launched or ""


def _build_provenance(inputs: Artifacts, properties: dict[str, Any], run_id: str) -> dict[str, Any]:
    model, examples, evaluation = (
        _get_single(inputs, "model"),
        _get_single(inputs, "examples"),
        _get_single(inputs, "evaluation"),
    )
    return provenance.build_provenance(
        model_name=properties["model_name"],
        run_id=run_id,
        code_fingerprint=properties["code_fingerprint"],
        model_artifact={"uri": model.uri, "id": model.id} if model else {},
        report=_read_optimization_report(inputs),
        metrics=provenance.read_metrics(evaluation.uri) if evaluation else {},
        data=_describe_examples(examples),
    )


def _describe_examples(examples: Artifact | None) -> dict[str, Any]:
    """Span and fingerprint of the examples, as ExampleGen recorded them."""
    if examples is None:
        return {}
    description: dict[str, Any] = {"uri": examples.uri, "id": examples.id}
    # By type: Kubeflow's metadata knows floats only, and TFX's untyped reader takes its zero for nothing.
    if examples.has_custom_property("span"):
        description["span"] = examples.get_int_custom_property("span")
    if examples.has_custom_property("input_fingerprint"):
        description["input_fingerprint"] = examples.get_string_custom_property("input_fingerprint")
    return description


def _find_reading_rules(inputs: Artifacts) -> Path | None:
    """How the rows of the examples were read; None where another ExampleGen than ours made them."""
    examples = _get_single(inputs, "examples")
    file = Path(examples.uri, Path(READING_RULES_FILE).name) if examples else None
    return file if file and file.is_file() else None


def _parse_base_directory(push_destination: str) -> str:
    """The serving directory in TFX's `PushDestination`.

    Raises:
        ConfigError: It names another kind of destination.
    """
    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(push_destination, destination)
    if not destination.filesystem.base_directory:
        raise ConfigError(f"The push destination {push_destination} is none.", "Give filesystem.base_directory.")
    return str(destination.filesystem.base_directory)


def _explain_refusal(inputs: Artifacts) -> str:
    model, infra = _get_single(inputs, "model_blessing"), _get_single(inputs, "infra_blessing")
    reasons = []
    if model and not model.get_int_custom_property("blessed"):
        reasons.append("the evaluation did not bless it")
    if infra and not infra.get_int_custom_property("blessed"):
        detail = infra.get_string_custom_property("reason")
        reasons.append(f"the serving validation did not bless it ({detail})" if detail else "no infra blessing")
    return "; ".join(reasons)


def _record_push(pushed: Artifact, result: PushResult) -> None:
    """Records the result under TFX's names of custom properties, and under our own: `reason`, `digest`."""
    pushed.set_int_custom_property("pushed", int(result.pushed))
    pushed.set_string_custom_property("reason", result.reason)
    pushed.set_string_custom_property("digest", result.digest)
    if result.candidate:
        pushed.set_string_custom_property("candidate", result.candidate)
    if result.pushed:
        pushed.set_string_custom_property("pushed_version", str(result.version))
        pushed.set_string_custom_property("pushed_destination", str(result.path))
    content = {
        "version": 1,
        "pushed": result.pushed,
        "pushed_version": result.version if result.pushed else None,
        "pushed_destination": str(result.path) if result.pushed else None,
        "live_version": result.version,
        "digest": result.digest,
        "reason": result.reason,
        "candidate": result.candidate,
    }
    Path(pushed.uri, "push.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
