"""Answers questions on the runs of a root: from `metadata.db`, and from the records of nodes that ran elsewhere.

Nothing is written. Neither TFX nor TensorFlow is imported.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store import execution_store
from taxiway.pipeline.tracking.store.mlmd_connection import RUN_CONTEXT, find_node, open_readonly, translate_errors
from taxiway.pipeline.tracking.store.store_file import has_store_file

_OUTPUT_EVENTS = (pb.Event.OUTPUT, pb.Event.DECLARED_OUTPUT, pb.Event.INTERNAL_OUTPUT)


@dataclass(frozen=True)
class StoredArtifact:
    """One artifact.

    Attributes:
        id: Id in ML Metadata.
        type: Name of the type, such as `Model` or `taxiway.Verdict`.
        uri: URI of the folder.
        state: `LIVE`, `DELETED`, ...
        key: Name of the execution's output; empty for an artifact that was read by itself.
        properties: Typed and custom properties together.
        created: Time of creation, in seconds since 1970.
    """

    id: int
    type: str
    uri: str
    state: str
    key: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    created: float = 0.0


@dataclass(frozen=True)
class StoredExecution:
    """One execution of a node.

    Attributes:
        id: Id in ML Metadata.
        type: Class of the component.
        node: Id of the node in the pipeline.
        pipeline: Name of the pipeline.
        state: `COMPLETE`, `CACHED`, `FAILED`, `RUNNING`, `CANCELED`, ...
        started, ended: Seconds since 1970; `ended` is the last change where the execution did not end.
        properties: Execution properties.
    """

    id: int
    type: str
    node: str
    state: str
    started: float
    ended: float
    properties: dict[str, Any] = field(default_factory=dict)
    pipeline: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.started


class RunStore:
    """The runs of a root, with their executions and outputs, opened for reading.

    Raises:
        StoreError: There is none, or the file is no metadata store, or it is locked.
    """

    def __init__(self, path: str | Path, store: Any = None) -> None:
        """Args:
        path: File `metadata.db`.
        store: Object that answers a `MetadataStore`'s questions; None: the file, and nothing else. `open_root` adds
            the records of emulated and Kubeflow runs.
        """
        self.path = Path(path)
        self._store = open_readonly(self.path) if store is None else store

    @classmethod
    def open_root(cls, root: Root) -> RunStore:
        """Everything that a root knows: `metadata.db` and the records under `executions/`."""
        return cls(root.metadata, open_root_store(root))

    def list_run_ids(self) -> list[str]:
        """Ids of all runs, oldest first."""
        return [context.name for context in self._run_contexts()]

    def read_run_times(self) -> dict[str, float]:
        """When each run began: seconds since 1970 by run id."""
        return {context.name: context.create_time_since_epoch / 1000 for context in self._run_contexts()}

    def list_run_executions(self, run_id: str) -> list[StoredExecution]:
        """The executions of one run, in the order in which they began; empty where the store knows no such run."""
        with translate_errors(self.path):
            context = self._store.get_context_by_type_and_name(RUN_CONTEXT, run_id)
            if context is None:
                return []
            executions = self._store.get_executions_by_context(context.id)
            return sorted((self._convert_execution(execution) for execution in executions), key=_order_key)

    def list_outputs(self, execution_id: int) -> list[StoredArtifact]:
        """The artifacts that an execution wrote or took from the cache."""
        return self.list_outputs_of([execution_id])[execution_id]

    def list_outputs_of(self, execution_ids: Sequence[int]) -> dict[int, list[StoredArtifact]]:
        """The artifacts that executions wrote or took from the cache, by execution."""
        with translate_errors(self.path):
            all_events = self._store.get_events_by_execution_ids(execution_ids) if execution_ids else []
            events = [event for event in all_events if event.type in _OUTPUT_EVENTS]
            artifacts = {a.id: a for a in self._store.get_artifacts_by_id(sorted({e.artifact_id for e in events}))}
        written: dict[int, list[StoredArtifact]] = {execution_id: [] for execution_id in execution_ids}
        for event in events:
            if event.artifact_id in artifacts:
                written[event.execution_id].append(
                    convert_artifact(artifacts[event.artifact_id], _find_event_key(event))
                )
        return written

    def _run_contexts(self) -> list[pb.Context]:
        with translate_errors(self.path):
            return sorted(self._store.get_contexts_by_type(RUN_CONTEXT), key=lambda context: context.id)

    def _convert_execution(self, execution: pb.Execution) -> StoredExecution:
        pipeline, node = find_node(self._store, execution)
        return StoredExecution(
            id=execution.id,
            type=execution.type,
            node=node,
            pipeline=pipeline,
            state=pb.Execution.State.Name(execution.last_known_state),
            started=execution.create_time_since_epoch / 1000,
            ended=execution.last_update_time_since_epoch / 1000,
            properties=read_properties(execution),
        )


def open_root_store(root: Root) -> Any:
    """The store of a root: `metadata.db`, execution records, or both, asked as a `MetadataStore` is.

    Raises:
        StoreError: There is neither, or one of them is damaged, or locked.
    """
    if not execution_store.has_records(root.path):
        has_store_file(root)  # one that is lost is not one that never was
        return open_readonly(root.metadata)
    records = execution_store.ExecutionRecordStore(root.path)
    return execution_store.CombinedStore(open_readonly(root.metadata), records) if has_store_file(root) else records


def has_runs(root: Root) -> bool:
    """Whether a root holds `metadata.db` or records.

    Raises:
        StoreError: `metadata.db` is lost, or cannot be looked at.
    """
    return has_store_file(root) or execution_store.has_records(root.path)


def convert_artifact(artifact: pb.Artifact, key: str = "") -> StoredArtifact:
    """ML Metadata's artifact as a plain value."""
    return StoredArtifact(
        id=artifact.id,
        type=artifact.type,
        uri=artifact.uri,
        state=pb.Artifact.State.Name(artifact.state),
        key=key,
        properties=read_properties(artifact),
        created=artifact.create_time_since_epoch / 1000,
    )


def read_properties(record: pb.Artifact | pb.Execution) -> dict[str, Any]:
    """Typed and custom properties of an artifact or execution as plain values."""
    return {
        name: _convert_value(value)
        for group in (record.properties, record.custom_properties)
        for name, value in group.items()
    }


def _order_key(execution: StoredExecution) -> tuple[float, bool, int]:
    """Executions in the order in which they began; of the same time, cached ones first."""
    return execution.started, execution.state != "CACHED", execution.id


def _find_event_key(event: pb.Event) -> str:
    return next((step.key for step in event.path.steps if step.HasField("key")), "")


def _convert_value(value: pb.Value) -> Any:
    kind = value.WhichOneof("value")
    if kind != "struct_value":
        return getattr(value, kind) if kind else None
    if "__value__" not in value.struct_value.fields:
        return json_format.MessageToDict(value.struct_value) or None
    text = value.struct_value.fields["__value__"].string_value  # so TFX wraps other JSON values; "" where there is none
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text or None
