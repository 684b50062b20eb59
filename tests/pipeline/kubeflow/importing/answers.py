"""What a server of the branch without ML Metadata answers for a run, made from records of its nodes.

The form is that of `PipelineTask` in `run.proto` of kubeflow/pipelines' branch `mlmd-removal`; the artifacts' metadata
are those that `without-mlmd` handed to the nodes, with `_kfp_schema_title` as `importer_launcher.go` stores it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from taxiway.pipeline.tracking.store.execution_record import ArtifactRecord, ExecutionRecord

OWN = "title: {title}\ntype: object\n"
LOGS = {"artifact_id": "l", "name": "executor-logs", "type": "Artifact", "uri": "minio://b/logs", "metadata": {}}
CURVES = {"artifact_id": "c", "name": "curves", "type": "ClassificationMetric", "metadata": {"confidenceMetrics": []}}


def make_run(records: list[ExecutionRecord], **changes: Any) -> dict[str, Any]:
    """The run in full: a root task, and one for each record."""
    tasks = [{"name": "root", "task_id": "t0", "run_id": "r1", "type": "ROOT", "state": "SUCCEEDED"}]
    return {"tasks": [*tasks, *(make_task(record) for record in records)], **changes}


def make_task(record: ExecutionRecord, state: str = "") -> dict[str, Any]:
    """One task; a failed one has no outputs but its log."""
    failed = record.state == "failed"
    outputs = [] if failed else [_make_io(key, listed[0], "OUTPUT") for key, listed in record.outputs.items()]
    given = {**record.properties, **{f"taxiway_{name}": value for name, value in record.parameters.items()}}
    return {
        "name": record.node,
        "display_name": record.node,
        "task_id": f"t-{record.node}",
        "run_id": "r1",
        "type": "RUNTIME",
        "state": state or ("FAILED" if failed else "SUCCEEDED"),
        "create_time": _write_time(record.started),
        "end_time": _write_time(record.finished),
        **({"status_metadata": {"message": record.error}} if failed else {}),
        "inputs": {
            "parameters": [
                {"parameter_key": name, "value": value, "type": "RUNTIME_VALUE_INPUT"} for name, value in given.items()
            ],
            "artifacts": [_make_io(key, listed[0], "TASK_OUTPUT_INPUT") for key, listed in record.inputs.items()],
        },
        "outputs": {
            "artifacts": [
                *outputs,
                {"artifact_key": "curves", "type": "OUTPUT", "artifacts": [CURVES]},
                {"artifact_key": "executor-logs", "type": "OUTPUT", "artifacts": [LOGS]},
            ]
        },
    }


def _make_io(key: str, artifact: ArtifactRecord, kind: str) -> dict[str, Any]:
    title = artifact.type if "." in artifact.type else f"tfx.{artifact.type}"
    answer = {
        "artifact_id": artifact.uri[-8:],
        "name": key,
        "type": "Artifact",
        "uri": artifact.uri,
        "metadata": {**artifact.properties, "_kfp_schema_title": OWN.format(title=title)},
    }
    return {"artifact_key": key, "type": kind, "artifacts": [answer]}


def _write_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_specification(records: list[ExecutionRecord]) -> dict[str, Any]:
    """As far as an import reads it."""
    nodes = {record.node: record.executor for record in records}
    return {
        "pipelineInfo": {"name": "taxi"},
        "schemaVersion": "2.1.0",
        "root": {"dag": {"tasks": {node: {"componentRef": {"name": node}} for node in nodes}}},
        "components": {node: {"executorLabel": f"{node}_executor"} for node in nodes},
        "deploymentSpec": {
            "executors": {
                f"{node}_executor": {"container": {"args": ["--node", node, "--executor_class_path", executor]}}
                for node, executor in nodes.items()
            }
        },
    }
