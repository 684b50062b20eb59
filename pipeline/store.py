"""Read-only questions to what a root knows of its runs: `metadata.db`, through ML Metadata alone, and the records of
nodes that ran elsewhere. Neither TFX nor TensorFlow is imported.

The file is looked at before ML Metadata opens it: see `pipeline.store_file`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format, message
from ml_metadata import errors as mlmd_errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from components.errors import StoreError
from pipeline import recorded
from pipeline.layout import Root
from pipeline.store_file import check_file, damaged, present

RUN_CONTEXT = "pipeline_run"
OTHER_VERSION = "MLMD database version"
"""Begins what ML Metadata says of a store of a newer schema."""
NODE_CONTEXT = "node"
_INPUT_EVENTS = (pb.Event.INPUT, pb.Event.DECLARED_INPUT, pb.Event.INTERNAL_INPUT)
_OUTPUT_EVENTS = (pb.Event.OUTPUT, pb.Event.DECLARED_OUTPUT, pb.Event.INTERNAL_OUTPUT)


@dataclass(frozen=True)
class ArtifactRecord:
    """One artifact.

    Attributes:
        id: In ML Metadata.
        type: Such as `Model` or `taxiway.Verdict`.
        uri: Its folder.
        state: `LIVE`, `DELETED`, ...
        key: The output (or input) under which the asked execution knows it; empty where none was asked.
        properties: Typed and custom properties together.
        created: Seconds since 1970.
    """

    id: int
    type: str
    uri: str
    state: str
    key: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    created: float = 0.0


@dataclass(frozen=True)
class ExecutionRecord:
    """One execution of a node.

    Attributes:
        id: In ML Metadata.
        type: The component's class.
        node: The node's id in the pipeline.
        pipeline: The pipeline's name.
        state: `COMPLETE`, `CACHED`, `FAILED`, `RUNNING`, `CANCELED`, ...
        started, ended: Seconds since 1970; `ended` is the last change where it did not end.
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


class Store:
    """What a root's runs did, opened for reading.

    Raises:
        StoreError: There is none, or the file is no metadata store, or it is locked.
    """

    def __init__(self, path: str | Path) -> None:
        """Args:
        path: Of `metadata.db` alone; `Store.of` knows the records of emulated and Kubeflow runs too.
        """
        self.path = Path(path)
        self._store = connect(self.path)

    @classmethod
    def of(cls, root: Root) -> Store:
        """Everything that a root knows: `metadata.db` and the records under `executions/`."""
        made = cls.__new__(cls)
        made.path, made._store = root.metadata, everything(root)
        return made

    def run_ids(self) -> list[str]:
        """Ids of all runs, oldest first."""
        return [context.name for context in self._run_contexts()]

    def run_times(self) -> dict[str, float]:
        """When each run began: seconds since 1970 by run id."""
        return {context.name: context.create_time_since_epoch / 1000 for context in self._run_contexts()}

    def executions(self, run_id: str) -> list[ExecutionRecord]:
        """The executions of one run, in the order in which they began; empty where the store knows no such run."""
        with plain_errors(self.path):
            context = self._store.get_context_by_type_and_name(RUN_CONTEXT, run_id)
            if context is None:
                return []
            found = self._store.get_executions_by_context(context.id)
            return sorted((self._execution(execution) for execution in found), key=_began)

    def execution(self, execution_id: int) -> ExecutionRecord | None:
        """One execution, or None."""
        with plain_errors(self.path):
            found = self._store.get_executions_by_id([execution_id])
            return self._execution(found[0]) if found else None

    def outputs(self, execution_id: int) -> list[ArtifactRecord]:
        """What an execution wrote, or took from the cache."""
        return self._artifacts_of(execution_id, _OUTPUT_EVENTS)

    def outputs_of(self, execution_ids: Sequence[int]) -> dict[int, list[ArtifactRecord]]:
        """What many executions wrote, or took from the cache, by execution."""
        with plain_errors(self.path):
            asked = self._store.get_events_by_execution_ids(execution_ids) if execution_ids else []
            events = [event for event in asked if event.type in _OUTPUT_EVENTS]
            found = {a.id: a for a in self._store.get_artifacts_by_id(sorted({e.artifact_id for e in events}))}
        written: dict[int, list[ArtifactRecord]] = {execution_id: [] for execution_id in execution_ids}
        for event in events:
            if event.artifact_id in found:
                written[event.execution_id].append(artifact_record(found[event.artifact_id], _key(event)))
        return written

    def inputs(self, execution_id: int) -> list[ArtifactRecord]:
        """What an execution read."""
        return self._artifacts_of(execution_id, _INPUT_EVENTS)

    def _run_contexts(self) -> list[pb.Context]:
        with plain_errors(self.path):
            return sorted(self._store.get_contexts_by_type(RUN_CONTEXT), key=lambda context: context.id)

    def _execution(self, execution: pb.Execution) -> ExecutionRecord:
        contexts = self._store.get_contexts_by_execution(execution.id)
        name = next((c.name for c in contexts if c.type == NODE_CONTEXT), execution.type)
        return ExecutionRecord(
            id=execution.id,
            type=execution.type,
            node=name.rpartition(".")[2],  # the context is called <pipeline>.<node>
            pipeline=name.rpartition(".")[0],
            state=pb.Execution.State.Name(execution.last_known_state),
            started=execution.create_time_since_epoch / 1000,
            ended=execution.last_update_time_since_epoch / 1000,
            properties=properties(execution),
        )

    def _artifacts_of(self, execution_id: int, kinds: Sequence[int]) -> list[ArtifactRecord]:
        with plain_errors(self.path):
            events = [e for e in self._store.get_events_by_execution_ids([execution_id]) if e.type in kinds]
            keys = {event.artifact_id: _key(event) for event in events}
            found = self._store.get_artifacts_by_id(sorted(keys))
        return [artifact_record(artifact, keys[artifact.id]) for artifact in found]


def connect(path: Path) -> metadata_store.MetadataStore:
    """ML Metadata's own store, opened for reading.

    Raises:
        StoreError: There is none, or the file is no metadata store, or it is locked.
    """
    check_file(path)
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
    return PlainStore(config, path)


def everything(root: Root) -> Any:
    """What answers a `MetadataStore`'s questions for a root: `metadata.db`, records, or both.

    Raises:
        StoreError: There is neither, or one of them is damaged, or locked.
    """
    if not recorded.any_under(root.path):
        present(root)  # one that is lost is not one that never was
        return connect(root.metadata)
    records = recorded.Recorded(root.path)
    return recorded.Both(connect(root.metadata), records) if present(root) else records


def knows_runs(root: Root) -> bool:
    """Whether a root holds `metadata.db` or records.

    Raises:
        StoreError: `metadata.db` is lost, or cannot be looked at.
    """
    return present(root) or recorded.any_under(root.path)


class PlainStore(metadata_store.MetadataStore):
    """ML Metadata's store, whose every answer is an answer or a `StoreError` that names the file."""

    def __init__(self, config: pb.ConnectionConfig, path: Path) -> None:
        self._path = path
        with plain_errors(path):
            super().__init__(config)

    def _call(self, *arguments: Any, **options: Any) -> Any:
        with plain_errors(self._path):
            return super()._call(*arguments, **options)


@contextlib.contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """ML Metadata's errors as sentences about its file; what is only not found passes."""
    try:
        yield
    except (mlmd_errors.NotFoundError, mlmd_errors.AlreadyExistsError, mlmd_errors.InvalidArgumentError):
        raise
    except (mlmd_errors.AbortedError, mlmd_errors.UnavailableError) as error:
        raise StoreError(f"{path} is locked by another process.", "Try again in a moment.") from error
    except (mlmd_errors.StatusError, RuntimeError, UnicodeDecodeError, message.DecodeError) as error:
        if not isinstance(error, mlmd_errors.FailedPreconditionError) and OTHER_VERSION not in str(error):
            raise damaged(path, f"is damaged: {error}") from error
        raise StoreError(
            f"{path} is of another version of ML Metadata than this one reads: {error}",
            "Use the Taxiway that wrote it, or give another --root.",
        ) from error


def artifact_record(artifact: pb.Artifact, key: str = "") -> ArtifactRecord:
    """ML Metadata's artifact as a plain value."""
    return ArtifactRecord(
        id=artifact.id,
        type=artifact.type,
        uri=artifact.uri,
        state=pb.Artifact.State.Name(artifact.state),
        key=key,
        properties=properties(artifact),
        created=artifact.create_time_since_epoch / 1000,
    )


def properties(record: pb.Artifact | pb.Execution) -> dict[str, Any]:
    """Typed and custom properties of an artifact or execution as plain values."""
    return {
        name: _value(value) for group in (record.properties, record.custom_properties) for name, value in group.items()
    }


def _began(execution: ExecutionRecord) -> tuple[float, bool, int]:
    """In the order in which executions began; what a run took from the cache comes before what it did."""
    return execution.started, execution.state != "CACHED", execution.id


def _key(event: pb.Event) -> str:
    return next((step.key for step in event.path.steps if step.HasField("key")), "")


def _value(value: pb.Value) -> Any:
    kind = value.WhichOneof("value")
    if kind != "struct_value":
        return getattr(value, kind) if kind else None
    if "__value__" not in value.struct_value.fields:
        return json_format.MessageToDict(value.struct_value) or None
    text = value.struct_value.fields["__value__"].string_value  # so TFX wraps other JSON values; "" where there is none
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text or None
