"""Walks through ML Metadata, breadth-first and in batches.

Only `get_events_by_artifact_ids`, `get_events_by_execution_ids` and look-ups by id or type are used: a filter query
and a lineage subgraph need ZetaSQL, which newer versions lack. Nothing is written: the store is opened read-only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_metadata import errors as mlmd_errors
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.pipeline.lineage.nodes import Edge, Node, make_artifact_key, make_execution_key
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store import metadata_store, mlmd_connection

INPUTS = frozenset({pb.Event.INPUT, pb.Event.DECLARED_INPUT, pb.Event.INTERNAL_INPUT})
OUTPUTS = frozenset({pb.Event.OUTPUT, pb.Event.DECLARED_OUTPUT, pb.Event.INTERNAL_OUTPUT})
BATCH = 1000
"""Ids in one question."""

MANY = 300
"""From so many executions on, names are read for all contexts at once."""


@dataclass
class WalkResult:
    """Ids and edges that a walk has found so far."""

    artifacts: set[int] = field(default_factory=set)
    executions: set[int] = field(default_factory=set)
    edges: set[Edge] = field(default_factory=set)


class LineageReader:
    """A metadata store, opened for reading.

    Raises:
        StoreError: There is none, it is damaged, of another program, or locked.
    """

    def __init__(self, mlmd: Any, path: Path) -> None:
        """Args:
        mlmd: ML Metadata's store, or an object with its methods that reads records.
        path: Path of `metadata.db`, for messages.
        """
        self.mlmd, self.path = mlmd, path

    @classmethod
    def open_file(cls, path: Path) -> LineageReader:
        """Reads `metadata.db` alone: the only part of a root's metadata that can be written."""
        return cls(mlmd_connection.open_readonly(path), path)

    @classmethod
    def open_root(cls, root: Root) -> LineageReader:
        """Reads `metadata.db` and the records under `executions/`."""
        return cls(metadata_store.open_root_store(root), root.metadata)

    # ---- walks ----

    def walk_upstream(self, artifacts: Iterable[int] = (), executions: Iterable[int] = ()) -> WalkResult:
        """Everything that the given artifacts and executions came from, themselves included.

        An artifact came from the execution that wrote it first; executions that took it from the cache do not count.
        """
        return self._walk_events(artifacts, executions, self._find_producers, INPUTS)

    def walk_downstream(self, artifacts: Iterable[int] = (), executions: Iterable[int] = ()) -> WalkResult:
        """Everything that the given artifacts and executions led to, themselves included."""
        return self._walk_events(artifacts, executions, self._find_consumers, OUTPUTS)

    def _walk_events(
        self, artifacts: Iterable[int], executions: Iterable[int], beyond: Any, events: frozenset[int]
    ) -> WalkResult:
        """Walks breadth-first: from artifacts to executions by `beyond`, from executions to artifacts by `events`."""
        walked = WalkResult()
        new_artifacts, new_executions = set(artifacts), set(executions)
        while new_artifacts or new_executions:
            walked.artifacts |= new_artifacts
            walked.executions |= new_executions
            steps = beyond(new_artifacts)
            sides = self.get_execution_events(new_executions, events)
            walked.edges |= {make_edge(event) for event in [*steps, *sides]}
            new_artifacts = {event.artifact_id for event in sides} - walked.artifacts
            new_executions = {event.execution_id for event in steps} - walked.executions
        return walked

    def _find_producers(self, artifacts: set[int]) -> list[pb.Event]:
        first: dict[int, pb.Event] = {}
        for event in self.get_artifact_events(artifacts, OUTPUTS):
            earlier = first.get(event.artifact_id)
            if earlier is None or event.execution_id < earlier.execution_id:
                first[event.artifact_id] = event
        return list(first.values())

    def _find_consumers(self, artifacts: set[int]) -> list[pb.Event]:
        return self.get_artifact_events(artifacts, INPUTS)

    # ---- look-ups ----

    def get_artifact_events(self, ids: Iterable[int], kinds: frozenset[int]) -> list[pb.Event]:
        """Events of some kinds of many artifacts."""
        return [e for e in self._fetch_batches(self.mlmd.get_events_by_artifact_ids, ids) if e.type in kinds]

    def get_execution_events(self, ids: Iterable[int], kinds: frozenset[int]) -> list[pb.Event]:
        """Events of some kinds of many executions."""
        return [e for e in self._fetch_batches(self.mlmd.get_events_by_execution_ids, ids) if e.type in kinds]

    def get_artifacts(self, ids: Iterable[int]) -> list[Node]:
        """Artifacts by id; those that the store does not know are left out."""
        return [make_artifact_node(artifact) for artifact in self._fetch_batches(self.mlmd.get_artifacts_by_id, ids)]

    def find_artifacts_at(self, uri: str) -> list[Node]:
        """The artifacts whose folder this is."""
        with mlmd_connection.translate_errors(self.path):
            return [make_artifact_node(artifact) for artifact in self.mlmd.get_artifacts_by_uri(uri)]

    def list_artifacts_of_type(self, type_name: str) -> list[Node]:
        """All artifacts of one type, oldest first."""
        with mlmd_connection.translate_errors(self.path):
            artifacts = self.mlmd.get_artifacts_by_type(type_name)
        return [make_artifact_node(artifact) for artifact in sorted(artifacts, key=lambda artifact: artifact.id)]

    def get_executions(self, ids: Iterable[int]) -> list[Node]:
        """Executions by id, with the node and the run that their contexts name."""
        executions = self._fetch_batches(self.mlmd.get_executions_by_id, ids)
        with mlmd_connection.translate_errors(self.path):
            names = (
                self._read_all_names() if len(executions) > MANY else {e.id: self._read_names(e.id) for e in executions}
            )
        return [make_execution_node(execution, *names.get(execution.id, ("", ""))) for execution in executions]

    def list_run_executions(self, run_id: str) -> list[int]:
        """Ids of a run's executions; empty where the store knows no such run."""
        with mlmd_connection.translate_errors(self.path):
            context = self.mlmd.get_context_by_type_and_name(mlmd_connection.RUN_CONTEXT, run_id)
            executions = self.mlmd.get_executions_by_context(context.id) if context else []
        return sorted(execution.id for execution in executions)

    def list_executions_of_type(self, ending: tuple[str, ...]) -> list[Node]:
        """All executions of the types whose names end in one of these, such as `ExampleGen`; without their runs."""
        with mlmd_connection.translate_errors(self.path):
            names = [each.name for each in self.mlmd.get_execution_types() if each.name.endswith(ending)]
            executions = [execution for name in names for execution in self.mlmd.get_executions_by_type(name)]
        return [make_execution_node(execution) for execution in executions]

    def list_run_ids(self) -> list[str]:
        """Ids of all runs, oldest first."""
        with mlmd_connection.translate_errors(self.path):
            contexts = self.mlmd.get_contexts_by_type(mlmd_connection.RUN_CONTEXT)
        return [context.name for context in sorted(contexts, key=lambda context: context.id)]

    def read_everything(self) -> WalkResult:
        """Ids and edges of the whole store."""
        with mlmd_connection.translate_errors(self.path):
            artifacts = {artifact.id for artifact in self.mlmd.get_artifacts()}
            executions = {execution.id for execution in self.mlmd.get_executions()}
        events = self.get_execution_events(executions, INPUTS | OUTPUTS)
        return WalkResult(artifacts, executions, {make_edge(event) for event in events})

    # ---- helpers ----

    def _read_names(self, execution_id: int) -> tuple[str, str]:
        """Node and run of one execution."""
        contexts: dict[str, str] = {}
        with contextlib.suppress(mlmd_errors.NotFoundError):  # another program may record executions of no run
            contexts = {c.type: c.name for c in self.mlmd.get_contexts_by_execution(execution_id)}
        return _parse_context_name(contexts.get(mlmd_connection.NODE_CONTEXT, "")), contexts.get(
            mlmd_connection.RUN_CONTEXT, ""
        )

    def _read_all_names(self) -> dict[int, tuple[str, str]]:
        """Node and run of every execution: one query a context costs less than one query an execution."""
        nodes, runs = (
            self._map_executions(mlmd_connection.NODE_CONTEXT),
            self._map_executions(mlmd_connection.RUN_CONTEXT),
        )
        return {id_: (_parse_context_name(name), runs.get(id_, "")) for id_, name in nodes.items()}

    def _map_executions(self, context_type: str) -> dict[int, str]:
        contexts = self.mlmd.get_contexts_by_type(context_type)
        return {e.id: c.name for c in contexts for e in self.mlmd.get_executions_by_context(c.id)}

    def _fetch_batches(self, ask: Any, ids: Iterable[int]) -> list[Any]:
        ordered, fetched = sorted(set(ids)), []
        with mlmd_connection.translate_errors(self.path):
            for begin in range(0, len(ordered), BATCH):
                fetched += ask(ordered[begin : begin + BATCH])
        return fetched


def make_artifact_node(artifact: pb.Artifact) -> Node:
    """ML Metadata's artifact as a node."""
    return Node(
        key=make_artifact_key(artifact.id),
        kind="artifact",
        name=artifact.type.rpartition(".")[2],
        type=artifact.type,
        state=pb.Artifact.State.Name(artifact.state),
        time=artifact.create_time_since_epoch / 1000,
        uri=artifact.uri,
        properties={
            name: value for name, value in metadata_store.read_properties(artifact).items() if value not in (None, "")
        },
    )


def make_execution_node(execution: pb.Execution, name: str = "", run: str = "") -> Node:
    """ML Metadata's execution as a node."""
    return Node(
        key=make_execution_key(execution.id),
        kind="execution",
        name=name or execution.type.rpartition(".")[2],
        type=execution.type,
        state=pb.Execution.State.Name(execution.last_known_state),
        time=execution.create_time_since_epoch / 1000,
        ended=execution.last_update_time_since_epoch / 1000,
        run=run,
        properties=metadata_store.read_properties(execution),
    )


def _parse_context_name(context: str) -> str:
    return context.rpartition(".")[2]  # the context is called <pipeline>.<node>


def make_edge(event: pb.Event) -> Edge:
    """ML Metadata's event as an edge."""
    artifact, execution = make_artifact_key(event.artifact_id), make_execution_key(event.execution_id)
    label = next((step.key for step in event.path.steps if step.HasField("key")), "")
    return Edge(artifact, execution, label) if event.type in INPUTS else Edge(execution, artifact, label)
