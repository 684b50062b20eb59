"""Imports a finished run: from what the server tells, else from the records that its steps uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxiway.components.errors import StoreError, UsageError
from taxiway.pipeline.kubeflow.api_client import KubeflowServer
from taxiway.pipeline.kubeflow.importing import api_records, server_answers, stored_records
from taxiway.pipeline.kubeflow.run_status import FINISHED
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store import execution_record
from taxiway.pipeline.tracking.store.execution_record import ExecutionRecord


@dataclass(frozen=True)
class ImportRequest:
    """What is imported.

    Attributes:
        source: Id of a run on the server, or the URI of its artifacts, `PIPELINE_ROOT/PIPELINE/RUN`.
        host: URL of the server; empty where the source is a URI.
        namespace: Namespace, in installations with several users.
        pipeline_root: Pipeline root of the run, where the server does not tell it.
    """

    source: str
    host: str = ""
    namespace: str = ""
    pipeline_root: str = ""


@dataclass(frozen=True)
class ImportedRun:
    """What was imported.

    Attributes:
        run_id: Id of the run.
        written: Nodes whose records were written.
        known: Nodes whose records were there before, and stayed.
    """

    run_id: str
    written: tuple[str, ...]
    known: tuple[str, ...]

    def __str__(self) -> str:
        known = f"; {len(self.known)} were there" if self.known else ""
        return f"Imported {len(self.written)} records of the run {self.run_id}{known}."


def import_run(root: Root, request: ImportRequest, files: Any = None) -> ImportedRun:
    """Writes the records of a run under a root; records that are there stay, since a node's own tells more.

    Args:
        root: Root on this machine; made where there is none.
        request: Which run, and where it is.
        files: As `stored_records.read_run_records` takes it.

    Raises:
        UsageError: The run has not ended, or it is not said where it is.
        KubeflowServerError: The server does not answer, or refuses.
        StoreError: Neither the server nor the object store knows what the run's nodes did.
    """
    if "://" in request.source:
        _refuse_server(request)
        run_id, records = request.source.rstrip("/").rpartition("/")[2], None
    else:
        run_id, records = request.source, _read_server_records(request, files)
    if records is None:
        records = stored_records.read_run_records(request.source, files)
    if not any(record.run_id == run_id for record in records):
        raise StoreError(
            f"There are no records of the run {run_id}.",
            "Its steps upload them from this version of Taxiway on, unless resources.kubeflow.page is false; those "
            "on the run's own volume are read by --root.",
        )
    written, known = _write_records(root, records)
    return ImportedRun(run_id, written, known)


def _refuse_server(request: ImportRequest) -> None:
    if request.host or request.pipeline_root:
        raise UsageError(
            f"--import {request.source} names an object store: --host and --pipeline-root have no use.",
            "Give the id of a run with --host, or the URI alone.",
        )


def _read_server_records(request: ImportRequest, files: Any) -> list[ExecutionRecord]:
    if not request.host:
        raise UsageError("--import needs --host.", "Or the URI of the run's artifacts: PIPELINE_ROOT/PIPELINE/RUN.")
    server = KubeflowServer(request.host, request.namespace)
    run = server.fetch_run(request.source, view="FULL")
    if run.get("state") not in FINISHED:
        raise UsageError(
            f"The run {request.source} is {run.get('state') or 'PENDING'}; only a finished run is imported.",
            f"To see it end: {server.make_command('follow', request.source)}",
        )
    spec = server_answers.fetch_specification(server, run)
    if api_records.has_artifacts(run):
        return api_records.list_records(run, spec)
    return stored_records.read_run_records(_find_run_uri(request, run, spec), files)


def _find_run_uri(request: ImportRequest, run: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """Where the run's artifacts are.

    Raises:
        UsageError: Neither server nor user say so.
    """
    root = request.pipeline_root or str((run.get("runtime_config") or {}).get("pipeline_root") or "")
    name = str(spec.get("pipelineInfo", {}).get("name") or "")
    if root and name:
        return f"{root.rstrip('/')}/{name}/{request.source}"
    raise UsageError(
        f"{request.host} tells no artifacts of the run {request.source}, and not where they are.",
        "Give the cluster's root as --pipeline-root, such as minio://mlpipeline/v2/artifacts, "
        "or the URI of the run's artifacts in place of its id.",
    )


def _write_records(root: Root, records: list[ExecutionRecord]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    written, known = [], []
    for record in records:
        if execution_record.find_record_file(root.path, record.run_id, record.node).exists():
            known.append(record.node)
        else:
            execution_record.write_record(root.path, record)
            written.append(record.node)
    return tuple(written), tuple(known)
