"""Execution records, asked as a `MetadataStore` is.

Emulated and Kubeflow runs leave one JSON file a node under `<root>/executions/`
(`taxiway.pipeline.tracking.store.execution_record`). Here they become ML Metadata's messages, so that whatever reads a
store reads them.

Ids begin at `FIRST_ID`, above those of a `metadata.db` in the same root. A node that the backend took from its cache
leaves no record in that run; it appears as CACHED where another node of the run read its outputs.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.pipeline.tracking.store import execution_record, kept_results
from taxiway.pipeline.tracking.store.execution_record import ArtifactRecord, ExecutionRecord

FIRST_ID = 1_000_001
"""Of artifacts, executions and contexts that come from records."""
FIRST_CACHED = 2_000_001
"""Of cached executions, which are known from the inputs of others."""
PARAMETERS, ERROR, OBJECT, KEPT = "parameters", "error", "object", "kept"
"""Properties beside those of the record: the run's parameters (JSON), why it failed, the URI in the object store, the
folder of the node's kept results."""

_STATES = {"complete": pb.Execution.COMPLETE, "failed": pb.Execution.FAILED}


def has_records(root: Path) -> bool:
    """Whether nodes left records under a root."""
    return next(root.joinpath(execution_record.FOLDER).glob("*/[!.]*.json"), None) is not None


class ExecutionRecordStore:
    """The records under a root. The methods are those of `MetadataStore` that a reader needs, named alike.

    Raises:
        StoreError: A file is no record, or of a later version.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = root / "kfp" / "objects"  # where an emulation keeps its buckets
        self._kept: dict[str, Path] = {}
        self._artifacts: dict[int, pb.Artifact] = {}
        self._executions: dict[int, pb.Execution] = {}
        self._contexts: dict[int, pb.Context] = {}
        self._of_execution: dict[int, list[pb.Event]] = defaultdict(list)
        self._of_artifact: dict[int, list[pb.Event]] = defaultdict(list)
        self._in: dict[int, list[int]] = defaultdict(list)
        self._contexts_of: dict[int, list[int]] = defaultdict(list)
        self._context_ids: dict[tuple[str, str], int] = {}
        self._ids: dict[str, int] = {}
        self._add_all(execution_record.read_execution_records(root))

    # ---- the questions ----

    def get_artifacts(self) -> list[pb.Artifact]:
        return list(self._artifacts.values())

    def get_artifacts_by_id(self, ids: Iterable[int]) -> list[pb.Artifact]:
        return [self._artifacts[each] for each in ids if each in self._artifacts]

    def get_artifacts_by_uri(self, uri: str) -> list[pb.Artifact]:
        artifact_id = self._ids.get(uri)
        return [a for a in self._artifacts.values() if a.id == artifact_id or a.uri == uri]

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

    def _add_all(self, records: list[ExecutionRecord]) -> None:
        made_by = {artifact.uri: record for record in records for artifact in _list_artifacts(record.outputs)}
        for record in records:
            self._kept |= _find_kept_folders(self._root, record)
        ids = {id(record): FIRST_ID + index for index, record in enumerate(records)}
        for record in records:
            self._add_execution(ids[id(record)], record, _STATES[record.state])
        number = FIRST_CACHED
        for run_id, began in _find_start_times(records).items():
            for record in _find_cached([each for each in records if each.run_id == run_id], made_by):
                changes = {"run_id": run_id, "started": began, "finished": began}
                self._add_execution(number, record.model_copy(update=changes), pb.Execution.CACHED)
                number += 1

    def _add_execution(self, number: int, record: ExecutionRecord, state: Any) -> None:
        execution = pb.Execution(id=number, type=record.executor, last_known_state=state)
        execution.create_time_since_epoch = round(record.started * 1000)
        execution.last_update_time_since_epoch = round(record.finished * 1000)
        own = {PARAMETERS: json.dumps(record.parameters) if record.parameters else "", ERROR: record.error}
        _set_properties(execution, {**record.properties, **{name: value for name, value in own.items() if value}})
        self._executions[number] = execution
        for kind, name in (("pipeline_run", record.run_id), ("node", f"{record.pipeline}.{record.node}")):
            context = self._add_context(kind, name, execution)
            self._in[context].append(number)
            self._contexts_of[number].append(context)
        for key, artifacts in record.outputs.items():
            self._add_events(number, pb.Event.OUTPUT, key, artifacts, record.finished)
        for key, artifacts in record.inputs.items():
            self._add_events(number, pb.Event.INPUT, key, artifacts, record.started)

    def _add_context(self, kind: str, name: str, execution: pb.Execution) -> int:
        number = self._context_ids.setdefault((kind, name), FIRST_ID + len(self._context_ids))
        if number not in self._contexts:
            began = execution.create_time_since_epoch
            self._contexts[number] = pb.Context(id=number, type=kind, name=name, create_time_since_epoch=began)
        return number

    def _add_events(
        self, execution: int, kind: Any, key: str, artifacts: Iterable[ArtifactRecord], moment: float
    ) -> None:
        for index, artifact in enumerate(artifacts):
            event = pb.Event(execution_id=execution, artifact_id=self._add_artifact(artifact, moment), type=kind)
            event.path.steps.add().key = key
            event.path.steps.add().index = index
            self._of_execution[execution].append(event)
            self._of_artifact[event.artifact_id].append(event)

    def _add_artifact(self, record: ArtifactRecord, moment: float) -> int:
        number = self._ids.setdefault(record.uri, FIRST_ID + len(self._ids))
        if number not in self._artifacts:
            artifact = pb.Artifact(id=number, type=record.type, uri=self._find_place(record), state=pb.Artifact.LIVE)
            artifact.create_time_since_epoch = round(moment * 1000)
            _set_properties(artifact, record.properties)
            if artifact.uri != record.uri:
                _set_properties(artifact, {OBJECT: record.uri})
            if record.uri in self._kept:
                _set_properties(artifact, {KEPT: str(self._kept[record.uri].parent)})
            self._artifacts[number] = artifact
        return number

    def _find_place(self, record: ArtifactRecord) -> str:
        """The folder that stands for an object store's URI, in an emulation or among kept results; else the URI."""
        scheme, separator, rest = record.uri.partition("://")
        folder = self._objects / scheme
        if separator and folder.is_dir():
            return str(folder / rest)
        whole = record.uri in self._kept and record.type not in kept_results.PARTIAL
        return str(self._kept[record.uri]) if whole else record.uri


class CombinedStore:
    """ML Metadata and records as one store: ids tell which of them is meant."""

    def __init__(self, mlmd: Any, records: ExecutionRecordStore) -> None:
        self._mlmd, self._records = mlmd, records

    def get_artifacts(self) -> list[pb.Artifact]:
        return [*self._mlmd.get_artifacts(), *self._records.get_artifacts()]

    def get_artifacts_by_id(self, ids: Iterable[int]) -> list[pb.Artifact]:
        return _ask_by_ids(self._mlmd.get_artifacts_by_id, self._records.get_artifacts_by_id, ids)

    def get_artifacts_by_uri(self, uri: str) -> list[pb.Artifact]:
        return [*self._mlmd.get_artifacts_by_uri(uri), *self._records.get_artifacts_by_uri(uri)]

    def get_artifacts_by_type(self, name: str) -> list[pb.Artifact]:
        return [*self._mlmd.get_artifacts_by_type(name), *self._records.get_artifacts_by_type(name)]

    def get_executions(self) -> list[pb.Execution]:
        return [*self._mlmd.get_executions(), *self._records.get_executions()]

    def get_executions_by_id(self, ids: Iterable[int]) -> list[pb.Execution]:
        return _ask_by_ids(self._mlmd.get_executions_by_id, self._records.get_executions_by_id, ids)

    def get_executions_by_type(self, name: str) -> list[pb.Execution]:
        return [*self._mlmd.get_executions_by_type(name), *self._records.get_executions_by_type(name)]

    def get_executions_by_context(self, context: int) -> list[pb.Execution]:
        return self._choose_store(context).get_executions_by_context(context)

    def get_execution_types(self) -> list[pb.ExecutionType]:
        return [*self._mlmd.get_execution_types(), *self._records.get_execution_types()]

    def get_contexts_by_type(self, name: str) -> list[pb.Context]:
        return [*self._mlmd.get_contexts_by_type(name), *self._records.get_contexts_by_type(name)]

    def get_context_by_type_and_name(self, kind: str, name: str) -> pb.Context | None:
        context = self._mlmd.get_context_by_type_and_name(kind, name)
        return context or self._records.get_context_by_type_and_name(kind, name)

    def get_contexts_by_execution(self, execution: int) -> list[pb.Context]:
        return self._choose_store(execution).get_contexts_by_execution(execution)

    def get_events_by_artifact_ids(self, ids: Iterable[int]) -> list[pb.Event]:
        return _ask_by_ids(self._mlmd.get_events_by_artifact_ids, self._records.get_events_by_artifact_ids, ids)

    def get_events_by_execution_ids(self, ids: Iterable[int]) -> list[pb.Event]:
        return _ask_by_ids(self._mlmd.get_events_by_execution_ids, self._records.get_events_by_execution_ids, ids)

    def _choose_store(self, number: int) -> Any:
        return self._mlmd if number < FIRST_ID else self._records


def _ask_by_ids(ask_mlmd: Any, ask_records: Any, ids: Iterable[int]) -> list[Any]:
    """Asks each store for its own ids; ML Metadata refuses to be asked for none."""
    id_list = list(ids)
    own, recorded = [i for i in id_list if i < FIRST_ID], [i for i in id_list if i >= FIRST_ID]
    return [*(ask_mlmd(own) if own else ()), *ask_records(recorded)]


def _find_start_times(records: Iterable[ExecutionRecord]) -> dict[str, float]:
    """When each run began, oldest first."""
    began: dict[str, float] = {}
    for record in records:
        began.setdefault(record.run_id, record.started)
    return began


def _find_cached(run: list[ExecutionRecord], made_by: Mapping[str, ExecutionRecord]) -> list[ExecutionRecord]:
    """The records of other runs whose outputs a run took from the cache, in the order in which they were made."""
    own = {record.node for record in run}
    makers: dict[str, ExecutionRecord] = {}
    waiting = list(run)
    while waiting:
        for artifact in _list_artifacts(waiting.pop().inputs):
            maker = made_by.get(artifact.uri)
            if maker is not None and maker.run_id != run[0].run_id and maker.node not in own | makers.keys():
                makers[maker.node] = maker
                waiting.append(maker)
    return sorted(makers.values(), key=lambda record: record.started)


def _find_kept_folders(root: Path, record: ExecutionRecord) -> dict[str, Path]:
    """Folders of kept results by URI. A node that was served from a cache has those of the run that made them."""
    folders = {
        artifacts[0].uri: kept_results.find_folder(root, record.run_id, record.node, key)
        for key, artifacts in record.outputs.items()
        if artifacts
    }
    return {uri: folder for uri, folder in folders.items() if folder.is_dir()}


def _list_artifacts(sides: Mapping[str, tuple[ArtifactRecord, ...]]) -> Iterator[ArtifactRecord]:
    return (artifact for artifacts in sides.values() for artifact in artifacts)


def _set_properties(target: pb.Artifact | pb.Execution, values: Mapping[str, Any]) -> None:
    """Puts values into the custom properties; the backend's floats become the whole numbers that they were."""
    for name, value in execution_record.name_properties(values).items():
        place = target.custom_properties[name]
        if isinstance(value, str):
            place.string_value = value
        elif isinstance(value, (bool, int)) or (isinstance(value, float) and value.is_integer()):
            place.int_value = int(value)
        elif isinstance(value, float):
            place.double_value = value
        elif value is not None:
            place.struct_value.fields["__value__"].string_value = json.dumps(value)  # as TFX wraps JSON
