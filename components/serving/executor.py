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

from components import progress
from components.contract import LINEAGE_VARIABLE, READING_RULES_FILE, serving_model_dir
from components.errors import ConfigError
from components.serving import provenance, push, staging, validation
from components.serving.config import ServingConfig
from components.serving.directory import PushResult
from components.serving.verdict import REPORT_FILE

Artifacts = dict[str, list[Artifact]]
BLESSED_FILE, NOT_BLESSED_FILE = "INFRA_BLESSED", "INFRA_NOT_BLESSED"


def _one(artifacts: Artifacts, key: str) -> Artifact | None:
    return artifact_utils.get_single_instance(artifacts[key]) if artifacts.get(key) else None


def _report(artifacts: Artifacts) -> dict[str, Any]:
    """The optimizer's report, or an empty one where the pipeline has no optimizer."""
    artifact = _one(artifacts, "optimization_report")
    return json.loads(Path(artifact.uri, "report.json").read_text(encoding="utf-8")) if artifact else {}


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
        progress.report("ServingValidator", f"trying {config.validation_rows} rows through every signature")
        report = validation.run(
            _job(input_dict, exec_properties, config, blessing), Path(written.uri, "log.txt"), config.timeout_seconds
        )
        Path(written.uri, REPORT_FILE).write_text(json.dumps(report, indent=2), encoding="utf-8")
        _bless(blessing, report)
        progress.report("ServingValidator", _words(report), 1.0)


def _words(report: dict[str, Any]) -> str:
    if not report["blessed"]:
        return f"refused: {report['reason']}"
    return "; ".join(["blessed", *report["figures"].get("input_changes", ())])


def _job(inputs: Artifacts, properties: dict[str, Any], config: ServingConfig, blessing: Artifact) -> dict[str, Any]:
    split = artifact_utils.get_split_uri(inputs["examples"], properties["split"])
    live = _one(inputs, "baseline_model")
    return {
        "candidate": serving_model_dir(artifact_utils.get_single_uri(inputs["model"])),
        "trained": serving_model_dir(artifact_utils.get_single_uri(inputs["trained_model"])),
        "live": serving_model_dir(live.uri) if live else "",
        "files": sorted(str(file) for file in Path(split).iterdir() if file.is_file()),
        "label": properties["label"],
        "task": properties["task"],
        "model_name": properties["model_name"],
        "config": config.model_dump_json(),
        "allowed_error": provenance.allowed_error(_report(inputs), config.max_output_error),
        "extra_files": blessing.uri,
    }


def _bless(blessing: Artifact, report: dict[str, Any]) -> None:
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
        base = _base_directory(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY])
        staging.check_room(Path(pushed.uri), ())  # what records the push may lie on another disk than the version
        if self.CheckBlessing(input_dict):
            result = self._push(base, input_dict, exec_properties)
        else:
            result = push.not_blessed(base, _why_not(input_dict))
        _record(pushed, result)
        progress.report("Pusher", result.reason, 1.0)

    def _push(self, base: str, inputs: Artifacts, properties: dict[str, Any]) -> PushResult:
        config = ServingConfig.model_validate_json(properties["config"])
        infra_blessing = _one(inputs, standard_component_specs.INFRA_BLESSING_KEY)
        return push.push(
            self.GetModelPath(inputs),
            base,
            properties["model_name"],
            _provenance(inputs, properties),
            config,
            expected_digest=infra_blessing.get_string_custom_property("digest") if infra_blessing else "",
            validated=infra_blessing.uri if infra_blessing else None,
            lineage=os.environ.get(LINEAGE_VARIABLE),
            reading_rules=_reading_rules(inputs),
            force=bool(properties["force"]),
        )


def _provenance(inputs: Artifacts, properties: dict[str, Any]) -> dict[str, Any]:
    model, examples, evaluation = _one(inputs, "model"), _one(inputs, "examples"), _one(inputs, "evaluation")
    return provenance.record(
        model_name=properties["model_name"],
        run_id=properties["run_id"],
        code_fingerprint=properties["code_fingerprint"],
        model_artifact={"uri": model.uri, "id": model.id} if model else {},
        report=_report(inputs),
        metrics=provenance.metrics(evaluation.uri) if evaluation else {},
        data=_data(examples),
    )


def _data(examples: Artifact | None) -> dict[str, Any]:
    """Span and fingerprint of the examples, as ExampleGen recorded them."""
    if examples is None:
        return {}
    found: dict[str, Any] = {"uri": examples.uri, "id": examples.id}
    # By type: Kubeflow's metadata knows floats only, and TFX's untyped reader takes its zero for nothing.
    if examples.has_custom_property("span"):
        found["span"] = examples.get_int_custom_property("span")
    if examples.has_custom_property("input_fingerprint"):
        found["input_fingerprint"] = examples.get_string_custom_property("input_fingerprint")
    return found


def _reading_rules(inputs: Artifacts) -> Path | None:
    """How the rows of the examples were read; None where another ExampleGen than ours made them."""
    examples = _one(inputs, "examples")
    file = Path(examples.uri, Path(READING_RULES_FILE).name) if examples else None
    return file if file and file.is_file() else None


def _base_directory(push_destination: str) -> str:
    """The serving directory in TFX's `PushDestination`.

    Raises:
        ConfigError: It names another kind of destination.
    """
    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(push_destination, destination)
    if not destination.filesystem.base_directory:
        raise ConfigError(f"The push destination {push_destination} is none.", "Give filesystem.base_directory.")
    return str(destination.filesystem.base_directory)


def _why_not(inputs: Artifacts) -> str:
    model, infra = _one(inputs, "model_blessing"), _one(inputs, "infra_blessing")
    reasons = []
    if model and not model.get_int_custom_property("blessed"):
        reasons.append("the evaluation did not bless it")
    if infra and not infra.get_int_custom_property("blessed"):
        detail = infra.get_string_custom_property("reason")
        reasons.append(f"the serving validation did not bless it ({detail})" if detail else "no infra blessing")
    return "; ".join(reasons)


def _record(pushed: Artifact, result: PushResult) -> None:
    """Says what happened, under TFX's names of custom properties and our own `reason`."""
    pushed.set_int_custom_property("pushed", int(result.pushed))
    pushed.set_string_custom_property("reason", result.reason)
    pushed.set_string_custom_property("digest", result.digest)
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
    }
    Path(pushed.uri, "push.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
