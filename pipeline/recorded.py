"""Records of nodes that ran outside this machine's ML Metadata, answering the questions of a `MetadataStore`.

Emulated and Kubeflow runs leave one JSON file a node under `<root>/executions/` (`pipeline.kubeflow.records`). Here
they become the very messages that ML Metadata would give, so that whatever reads a store reads them.

Ids begin at `FIRST_ID`, so that they never meet those of a `metadata.db` in the same root. A node that the backend took
from its cache leaves no record in that run; it is told as CACHED where the run read what it had made.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.kubeflow import records
from pipeline.kubeflow.records import ArtifactRecord, ExecutionRecord

FIRST_ID = 1_000_001
"""Of artifacts, executions and contexts that come from records."""
FIRST_CACHED = 2_000_001
"""Of executions that only the inputs of others tell of."""
PARAMETERS, ERROR, OBJECT = "parameters", "error", "object"
"""Properties beside those of the record: the run's parameters (JSON), why it failed, the URI in the object store."""

_STATES = {"complete": pb.Execution.COMPLETE, "failed": pb.Execution.FAILED}


def any_under(root: Path) -> bool:
    """Whether nodes left records under a root."""
    return next(root.joinpath(records.FOLDER).glob("*/[!.]*.json"), None) is not None


class Recorded:
    """The records under a root. The methods are those of `MetadataStore` that a reader needs, named alike.

    Raises:
        StoreError: A file is no record, or of a later version.
    """

    def __init__(self, root: Path) -> None:
        self._objects = root / "kfp" / "objects"  # where an emulation keeps its buckets
        self._artifacts: dict[int, pb.Artifact] = {}
        self._executions: dict[int, pb.Execution] = {}
        self._contexts: dict[int, pb.Context] = {}
        self._of_execution: dict[int, list[pb.Event]] = defaultdict(list)
        self._of_artifact: dict[int, list[pb.Event]] = defaultdict(list)
        self._in: dict[int, list[int]] = defaultdict(list)
        self._contexts_of: dict[int, list[int]] = defaultdict(list)
        self._context_ids: dict[tuple[str, str], int] = {}
        self._ids: dict[str, int] = {}
        self._add_all(records.read(root))

    # ---- the questions ----

    def get_artifacts(self) -> list[pb.Artifact]:
        return list(self._artifacts.values())

    def get_artifacts_by_id(self, ids: Iterable[int]) -> list[pb.Artifact]:
        return [self._artifacts[each] for each in ids if each in self._artifacts]

    def get_artifacts_by_uri(self, uri: str) -> list[pb.Artifact]:
        found = self._ids.get(uri)
        return [a for a in self._artifacts.values() if a.id == found or a.uri == uri]

    def get_artifacts_by_type(self, name: str) -> list[pb.Artifact]:
        return [artifact for artifact in self._artifacts.values() if artifact.type == name]

    def get_executions(self) -> list[pb.Execution]:
        return list(self._executions.values())

    def get_executions_by_id(self, ids: Iterable[int]) -> list[pb.Execution]:
        return [self._executions[each] for each in ids if each in self._executions]

    def get_executions_by_type(self, name: str) -> list[pb.Execution]:
        return [execution for execution in self._executions.values() if execution.type == name]

    def get_executions_by_context(self, context: int) -> list[pb.Execution]:
        return self.get_executions_by_id(self._in[context])

    def get_execution_types(self) -> list[pb.ExecutionType]:
        names = dict.fromkeys(execution.type for execution in self._executions.values())
        return [pb.ExecutionType(name=name) for name in names]

    def get_contexts_by_type(self, name: str) -> list[pb.Context]:
        return [context for context in self._contexts.values() if context.type == name]

    def get_context_by_type_and_name(self, kind: str, name: str) -> pb.Context | None:
        return self._contexts.get(self._context_ids.get((kind, name), 0))

    def get_contexts_by_execution(self, execution: int) -> list[pb.Context]:
        return [self._contexts[each] for each in self._contexts_of[execution]]

    def get_events_by_artifact_ids(self, ids: Iterable[int]) -> list[pb.Event]:
        return [event for each in ids for event in self._of_artifact.get(each, ())]

    def get_events_by_execution_ids(self, ids: Iterable[int]) -> list[pb.Event]:
        return [event for each in ids for event in self._of_execution.get(each, ())]

    # ---- from records to messages ----

    def _add_all(self, found: list[ExecutionRecord]) -> None:
        made_by = {artifact.uri: record for record in found for artifact in _flat(record.outputs)}
        ids = {id(record): FIRST_ID + index for index, record in enumerate(found)}
        for record in found:
            self._add(ids[id(record)], record, _STATES[record.state])
        number = FIRST_CACHED
        for run_id, began in _begins(found).items():
            for record in _cached([each for each in found if each.run_id == run_id], made_by):
                changes = {"run_id": run_id, "started": began, "finished": began}
                self._add(number, record.model_copy(update=changes), pb.Execution.CACHED)
                number += 1

    def _add(self, number: int, record: ExecutionRecord, state: Any) -> None:
        execution = pb.Execution(id=number, type=record.executor, last_known_state=state)
        execution.create_time_since_epoch = round(record.started * 1000)
        execution.last_update_time_since_epoch = round(record.finished * 1000)
        own = {PARAMETERS: json.dumps(record.parameters) if record.parameters else "", ERROR: record.error}
        _set(execution, {**record.properties, **{name: value for name, value in own.items() if value}})
        self._executions[number] = execution
        for kind, name in (("pipeline_run", record.run_id), ("node", f"{record.pipeline}.{record.node}")):
            context = self._context(kind, name, execution)
            self._in[context].append(number)
            self._contexts_of[number].append(context)
        for key, artifacts in record.outputs.items():
            self._events(number, pb.Event.OUTPUT, key, artifacts, record.finished)
        for key, artifacts in record.inputs.items():
            self._events(number, pb.Event.INPUT, key, artifacts, record.started)

    def _context(self, kind: str, name: str, execution: pb.Execution) -> int:
        number = self._context_ids.setdefault((kind, name), FIRST_ID + len(self._context_ids))
        if number not in self._contexts:
            began = execution.create_time_since_epoch
            self._contexts[number] = pb.Context(id=number, type=kind, name=name, create_time_since_epoch=began)
        return number

    def _events(self, execution: int, kind: Any, key: str, artifacts: Iterable[ArtifactRecord], moment: float) -> None:
        for index, artifact in enumerate(artifacts):
            event = pb.Event(execution_id=execution, artifact_id=self._artifact(artifact, moment), type=kind)
            event.path.steps.add().key = key
            event.path.steps.add().index = index
            self._of_execution[execution].append(event)
            self._of_artifact[event.artifact_id].append(event)

    def _artifact(self, record: ArtifactRecord, moment: float) -> int:
        number = self._ids.setdefault(record.uri, FIRST_ID + len(self._ids))
        if number not in self._artifacts:
            made = pb.Artifact(id=number, type=record.type, uri=self._place(record.uri), state=pb.Artifact.LIVE)
            made.create_time_since_epoch = round(moment * 1000)
            _set(made, record.properties)
            if made.uri != record.uri:
                _set(made, {OBJECT: record.uri})
            self._artifacts[number] = made
        return number

    def _place(self, uri: str) -> str:
        """The folder that stands for an object store's URI in an emulation; elsewhere the URI itself."""
        scheme, separator, rest = uri.partition("://")
        folder = self._objects / scheme
        return str(folder / rest) if separator and folder.is_dir() else uri


class Both:
    """ML Metadata and records as one store: ids tell which of them is meant."""

    def __init__(self, mlmd: Any, recorded: Recorded) -> None:
        self._mlmd, self._recorded = mlmd, recorded

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("get_"):
            raise AttributeError(name)
        asked, other = getattr(self._mlmd, name), getattr(self._recorded, name)

        def both(*arguments: Any) -> Any:
            if not arguments or isinstance(arguments[0], str):
                first = asked(*arguments)
                return [*first, *other(*arguments)] if isinstance(first, list) else first or other(*arguments)
            if isinstance(arguments[0], int):
                return (asked if arguments[0] < FIRST_ID else other)(*arguments)
            ids = list(arguments[0])
            small, large = [i for i in ids if i < FIRST_ID], [i for i in ids if i >= FIRST_ID]
            return [*(asked(small) if small else ()), *other(large)]

        return both


def _begins(found: Iterable[ExecutionRecord]) -> dict[str, float]:
    """When each run began, oldest first."""
    began: dict[str, float] = {}
    for record in found:
        began.setdefault(record.run_id, record.started)
    return began


def _cached(run: list[ExecutionRecord], made_by: Mapping[str, ExecutionRecord]) -> list[ExecutionRecord]:
    """The records of other runs whose outputs a run took from the cache, in the order in which they were made."""
    own = {record.node for record in run}
    found: dict[str, ExecutionRecord] = {}
    waiting = list(run)
    while waiting:
        for artifact in _flat(waiting.pop().inputs):
            maker = made_by.get(artifact.uri)
            if maker is not None and maker.run_id != run[0].run_id and maker.node not in own | found.keys():
                found[maker.node] = maker
                waiting.append(maker)
    return sorted(found.values(), key=lambda record: record.started)


def _flat(sides: Mapping[str, tuple[ArtifactRecord, ...]]) -> Iterator[ArtifactRecord]:
    return (artifact for artifacts in sides.values() for artifact in artifacts)


def _set(target: pb.Artifact | pb.Execution, values: Mapping[str, Any]) -> None:
    """Puts values into the custom properties; the backend's floats become the whole numbers that they were."""
    for name, value in values.items():
        place = target.custom_properties[name.removeprefix("custom:")]
        if isinstance(value, str):
            place.string_value = value
        elif isinstance(value, (bool, int)) or (isinstance(value, float) and value.is_integer()):
            place.int_value = int(value)
        elif isinstance(value, float):
            place.double_value = value
        elif value is not None:
            place.struct_value.fields["__value__"].string_value = json.dumps(value)  # as TFX wraps JSON
