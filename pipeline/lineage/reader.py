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

from pipeline import store
from pipeline.layout import Root
from pipeline.lineage.nodes import Edge, Node, artifact_key, execution_key

INPUTS = frozenset({pb.Event.INPUT, pb.Event.DECLARED_INPUT, pb.Event.INTERNAL_INPUT})
OUTPUTS = frozenset({pb.Event.OUTPUT, pb.Event.DECLARED_OUTPUT, pb.Event.INTERNAL_OUTPUT})
BATCH = 1000
"""Ids in one question."""

MANY = 300
"""From so many executions on, their names are asked for by context."""


@dataclass
class Walked:
    """Ids and edges that a walk has found so far."""

    artifacts: set[int] = field(default_factory=set)
    executions: set[int] = field(default_factory=set)
    edges: set[Edge] = field(default_factory=set)


class Reader:
    """A metadata store, opened for reading.

    Raises:
        StoreError: There is none, it is damaged, of another program, or locked.
    """

    def __init__(self, path: str | Path) -> None:
        """Args:
        path: Of `metadata.db` alone; `Reader.of` knows the records of emulated and Kubeflow runs too.
        """
        self.path = Path(path)
        self.mlmd: Any = store.connect(self.path)

    @classmethod
    def of(cls, root: Root) -> Reader:
        """Everything that a root knows: `metadata.db` and the records under `executions/`."""
        made = cls.__new__(cls)
        made.path, made.mlmd = root.metadata, store.everything(root)
        return made

    # ---- walks ----

    def upstream(self, artifacts: Iterable[int] = (), executions: Iterable[int] = ()) -> Walked:
        """Everything that the given artifacts and executions came from, themselves included.

        An artifact came from the execution that wrote it first; those that took it from the cache changed nothing.
        """
        return self._walk(artifacts, executions, self._producers, INPUTS)

    def downstream(self, artifacts: Iterable[int] = (), executions: Iterable[int] = ()) -> Walked:
        """Everything that the given artifacts and executions led to, themselves included."""
        return self._walk(artifacts, executions, self._consumers, OUTPUTS)

    def _walk(self, artifacts: Iterable[int], executions: Iterable[int], beyond: Any, events: frozenset[int]) -> Walked:
        """Breadth-first: from artifacts to executions by `beyond`, from executions to artifacts by `events`."""
        found = Walked()
        new_artifacts, new_executions = set(artifacts), set(executions)
        while new_artifacts or new_executions:
            found.artifacts |= new_artifacts
            found.executions |= new_executions
            steps = beyond(new_artifacts)
            sides = self.events_of_executions(new_executions, events)
            found.edges |= {edge(event) for event in [*steps, *sides]}
            new_artifacts = {event.artifact_id for event in sides} - found.artifacts
            new_executions = {event.execution_id for event in steps} - found.executions
        return found

    def _producers(self, artifacts: set[int]) -> list[pb.Event]:
        first: dict[int, pb.Event] = {}
        for event in self.events_of_artifacts(artifacts, OUTPUTS):
            known = first.get(event.artifact_id)
            if known is None or event.execution_id < known.execution_id:
                first[event.artifact_id] = event
        return list(first.values())

    def _consumers(self, artifacts: set[int]) -> list[pb.Event]:
        return self.events_of_artifacts(artifacts, INPUTS)

    # ---- look-ups ----

    def events_of_artifacts(self, ids: Iterable[int], kinds: frozenset[int]) -> list[pb.Event]:
        """Events of some kinds of many artifacts."""
        return [e for e in self._batched(self.mlmd.get_events_by_artifact_ids, ids) if e.type in kinds]

    def events_of_executions(self, ids: Iterable[int], kinds: frozenset[int]) -> list[pb.Event]:
        """Events of some kinds of many executions."""
        return [e for e in self._batched(self.mlmd.get_events_by_execution_ids, ids) if e.type in kinds]

    def artifacts(self, ids: Iterable[int]) -> list[Node]:
        """Artifacts by id; those that the store does not know are left out."""
        return [artifact_node(artifact) for artifact in self._batched(self.mlmd.get_artifacts_by_id, ids)]

    def artifacts_at(self, uri: str) -> list[Node]:
        """The artifacts whose folder this is."""
        with store.plain_errors(self.path):
            return [artifact_node(artifact) for artifact in self.mlmd.get_artifacts_by_uri(uri)]

    def artifacts_of_type(self, type_name: str) -> list[Node]:
        """All artifacts of one type, oldest first."""
        with store.plain_errors(self.path):
            found = self.mlmd.get_artifacts_by_type(type_name)
        return [artifact_node(artifact) for artifact in sorted(found, key=lambda artifact: artifact.id)]

    def executions(self, ids: Iterable[int]) -> list[Node]:
        """Executions by id, with the node and the run that their contexts name."""
        found = self._batched(self.mlmd.get_executions_by_id, ids)
        with store.plain_errors(self.path):
            names = self._all_names() if len(found) > MANY else {e.id: self._names(e.id) for e in found}
        return [execution_node(execution, *names.get(execution.id, ("", ""))) for execution in found]

    def run_executions(self, run_id: str) -> list[int]:
        """Ids of a run's executions; empty where the store knows no such run."""
        with store.plain_errors(self.path):
            context = self.mlmd.get_context_by_type_and_name(store.RUN_CONTEXT, run_id)
            found = self.mlmd.get_executions_by_context(context.id) if context else []
        return sorted(execution.id for execution in found)

    def executions_of_type(self, ending: tuple[str, ...]) -> list[Node]:
        """All executions of the types whose names end in one of these, such as `ExampleGen`; without their runs."""
        with store.plain_errors(self.path):
            names = [each.name for each in self.mlmd.get_execution_types() if each.name.endswith(ending)]
            found = [execution for name in names for execution in self.mlmd.get_executions_by_type(name)]
        return [execution_node(execution) for execution in found]

    def run_ids(self) -> list[str]:
        """Ids of all runs, oldest first."""
        with store.plain_errors(self.path):
            contexts = self.mlmd.get_contexts_by_type(store.RUN_CONTEXT)
        return [context.name for context in sorted(contexts, key=lambda context: context.id)]

    def everything(self) -> Walked:
        """Ids and edges of the whole store."""
        with store.plain_errors(self.path):
            artifacts = {artifact.id for artifact in self.mlmd.get_artifacts()}
            executions = {execution.id for execution in self.mlmd.get_executions()}
        events = self.events_of_executions(executions, INPUTS | OUTPUTS)
        return Walked(artifacts, executions, {edge(event) for event in events})

    # ---- inside ----

    def _names(self, execution_id: int) -> tuple[str, str]:
        """Node and run of one execution."""
        contexts: dict[str, str] = {}
        with contextlib.suppress(mlmd_errors.NotFoundError):  # another program may record executions of no run
            contexts = {c.type: c.name for c in self.mlmd.get_contexts_by_execution(execution_id)}
        return _node_name(contexts.get(store.NODE_CONTEXT, "")), contexts.get(store.RUN_CONTEXT, "")

    def _all_names(self) -> dict[int, tuple[str, str]]:
        """Node and run of every execution: a question a context costs less than one an execution."""
        nodes, runs = self._executions_in(store.NODE_CONTEXT), self._executions_in(store.RUN_CONTEXT)
        return {id_: (_node_name(name), runs.get(id_, "")) for id_, name in nodes.items()}

    def _executions_in(self, context_type: str) -> dict[int, str]:
        contexts = self.mlmd.get_contexts_by_type(context_type)
        return {e.id: c.name for c in contexts for e in self.mlmd.get_executions_by_context(c.id)}

    def _batched(self, ask: Any, ids: Iterable[int]) -> list[Any]:
        ordered, found = sorted(set(ids)), []
        with store.plain_errors(self.path):
            for begin in range(0, len(ordered), BATCH):
                found += ask(ordered[begin : begin + BATCH])
        return found


def artifact_node(artifact: pb.Artifact) -> Node:
    """ML Metadata's artifact as a node."""
    return Node(
        key=artifact_key(artifact.id),
        kind="artifact",
        name=artifact.type.rpartition(".")[2],
        type=artifact.type,
        state=pb.Artifact.State.Name(artifact.state),
        time=artifact.create_time_since_epoch / 1000,
        uri=artifact.uri,
        properties={name: value for name, value in store.properties(artifact).items() if value not in (None, "")},
    )


def execution_node(execution: pb.Execution, name: str = "", run: str = "") -> Node:
    """ML Metadata's execution as a node."""
    return Node(
        key=execution_key(execution.id),
        kind="execution",
        name=name or execution.type.rpartition(".")[2],
        type=execution.type,
        state=pb.Execution.State.Name(execution.last_known_state),
        time=execution.create_time_since_epoch / 1000,
        ended=execution.last_update_time_since_epoch / 1000,
        run=run,
        properties=store.properties(execution),
    )


def _node_name(context: str) -> str:
    return context.rpartition(".")[2]  # the context is called <pipeline>.<node>


def edge(event: pb.Event) -> Edge:
    """ML Metadata's event as an edge."""
    artifact, execution = artifact_key(event.artifact_id), execution_key(event.execution_id)
    label = next((step.key for step in event.path.steps if step.HasField("key")), "")
    return Edge(artifact, execution, label) if event.type in INPUTS else Edge(execution, artifact, label)
