"""Execution records from what a server without ML Metadata tells of a run: its tasks with their artifacts.

`GET /apis/v2beta1/runs/ID?view=FULL` lists them under `tasks` (`PipelineTask` of `run.proto`). The schema of a custom
artifact type is in the artifact's metadata, under `_kfp_schema_title` (`importer_launcher.go`). A cached task lists the
artifacts of the run that made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import yaml

from taxiway.pipeline.kubeflow import parameters
from taxiway.pipeline.kubeflow.artifact_types import read_title
from taxiway.pipeline.kubeflow.page.specification import find_tasks
from taxiway.pipeline.tracking.store.execution_record import ArtifactRecord, ExecutionRecord

SCHEMA_TITLE = "_kfp_schema_title"
BACKENDS_OWN = frozenset({SCHEMA_TITLE, "display_name", "store_session_info"})
"""Metadata that the backend adds."""
EXECUTOR_OPTION = "--executor_class_path"
_STATES = {"SUCCEEDED": "complete", "CACHED": "complete", "FAILED": "failed"}

Task = Mapping[str, Any]


def list_records(run: Mapping[str, Any], spec: Mapping[str, Any]) -> list[ExecutionRecord]:
    """The records of a run; of a cached task, the record of the run that made its outputs.

    Args:
        run: The server's answer, in full, as JSON values.
        spec: Specification of the run's pipeline; empty where it is not known.
    """
    executors = find_executors(spec)
    nodes = executors or {str(task.get("name", "")): "" for task in run.get("tasks") or ()}
    return [
        record
        for task in run.get("tasks") or ()
        if task.get("name") in nodes and task.get("state") in _STATES
        for record in _make_record(task, executors.get(task["name"], ""))
    ]


def has_artifacts(run: Mapping[str, Any]) -> bool:
    """Whether the server tells what the tasks of a run wrote."""
    return any((task.get("outputs") or {}).get("artifacts") for task in run.get("tasks") or ())


def find_executors(spec: Mapping[str, Any]) -> dict[str, str]:
    """The executor's class of each node, which stands among the arguments of its container."""
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    found = {}
    for node, task in find_tasks(spec).items():
        component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"), {})
        arguments = executors.get(component.get("executorLabel"), {}).get("container", {}).get("args", [])
        if EXECUTOR_OPTION in arguments[:-1]:
            found[node] = str(arguments[arguments.index(EXECUTOR_OPTION) + 1])
    return found


def _make_record(task: Task, executor: str) -> Iterator[ExecutionRecord]:
    """One record; none of a task that is none of ours, such as the DAG around it."""
    outputs = _read_artifacts(task, "outputs")
    place = find_place(str(task["name"]), [a.uri for listed in outputs.values() for a in listed])
    failed = _STATES[task["state"]] == "failed"
    if place is None and not (failed and executor):
        return
    pipeline, run_id = place or ("", str(task.get("run_id", "")))
    given = {
        each["parameter_key"]: each.get("value")
        for each in (task.get("inputs") or {}).get("parameters") or ()
        if each.get("parameter_key")
    }
    yield ExecutionRecord(
        run_id=run_id,
        pipeline=pipeline,
        node=str(task["name"]),
        executor=executor or str(task["name"]),
        state="failed" if failed else "complete",
        started=read_time(task.get("create_time")),
        finished=read_time(task.get("end_time")),
        error=_read_error(task) if failed else "",
        properties=parameters.apply_parameters(given),
        parameters=parameters.select_run_parameters(given),
        inputs=_read_artifacts(task, "inputs"),
        outputs={} if failed else outputs,
    )


def _read_error(task: Task) -> str:
    return str((task.get("status_metadata") or {}).get("message") or "the server gives no reason")


def find_place(node: str, uris: list[str]) -> tuple[str, str] | None:
    """Pipeline and run that a node's outputs belong to: `ROOT/PIPELINE/RUN/NODE/...`; None where no URI says so."""
    for uri in uris:
        parts = uri.split("/")
        if node in parts[2:]:
            position = len(parts) - 1 - parts[::-1].index(node)
            return parts[position - 2], parts[position - 1]
    return None


def _read_artifacts(task: Task, side: str) -> dict[str, tuple[ArtifactRecord, ...]]:
    """The artifacts of types of TFX and of ours: what Kubeflow's page shows is no lineage."""
    found: dict[str, tuple[ArtifactRecord, ...]] = {}
    for each in (task.get(side) or {}).get("artifacts") or ():
        listed = tuple(_make_artifact(artifact) for artifact in each.get("artifacts") or () if _read_type(artifact))
        if listed:
            found[str(each.get("artifact_key", ""))] = listed
    return found


def _make_artifact(artifact: Mapping[str, Any]) -> ArtifactRecord:
    metadata = artifact.get("metadata") or {}
    known = {name: value for name, value in metadata.items() if name not in BACKENDS_OWN}
    return ArtifactRecord(uri=str(artifact.get("uri", "")), type=_read_type(artifact), properties=known)


def _read_type(artifact: Mapping[str, Any]) -> str:
    """`Examples` of `tfx.Examples`; empty for types of the backend."""
    schema = str((artifact.get("metadata") or {}).get(SCHEMA_TITLE) or "")
    try:
        content = yaml.safe_load(schema)
    except yaml.YAMLError:
        content = None
    title = read_title({"instanceSchema": schema} if isinstance(content, dict) else {"schemaTitle": schema})
    return "" if title.startswith("system.") or "." not in title else title.removeprefix("tfx.")


def read_time(text: Any) -> float:
    """Seconds since 1970 of a time as the server writes it; 0 where there is none."""
    return datetime.fromisoformat(str(text)).timestamp() if text else 0.0
