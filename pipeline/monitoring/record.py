"""A verdict as an execution in ML Metadata: in, the version's push; out, the verdict. No TFX, no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taxiway.components.errors import StoreError
from taxiway.components.serving.versions.rollback_record import PUSHED_MODEL, make_event, set_properties
from taxiway.pipeline.lineage.why import SERVING_VERDICT
from taxiway.pipeline.monitoring.verdicts import ServingVerdict
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store import mlmd_connection, store_file

EXECUTION_TYPE = "taxiway.Monitor"


def record_verdict(root: Root, verdict: ServingVerdict, folder: Path) -> tuple[int | None, str]:
    """Writes the execution, and returns its id, and why there is none or why it is not linked to a push."""
    from ml_metadata.errors import StatusError

    if not store_file.has_store_file(root):
        return None, f"{root.path} has no metadata store"
    try:
        return _put_execution(mlmd_connection.open_for_writing(root.metadata), root, verdict, folder)
    except (StoreError, StatusError) as error:
        return None, f"The verdict stands, but the metadata store did not take its record: {error}"


def _put_execution(store: Any, root: Root, verdict: ServingVerdict, folder: Path) -> tuple[int, str]:
    from ml_metadata.proto import metadata_store_pb2 as pb

    kind = store.put_execution_type(pb.ExecutionType(name=EXECUTION_TYPE), can_add_fields=True, can_omit_fields=True)
    execution = pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE)
    set_properties(execution, {"model": verdict.model, "status": verdict.status})
    events = [(_make_artifact(store, pb, verdict, folder), make_event(pb, pb.Event.OUTPUT, "verdict"))]
    push = _find_push(store, root, verdict)
    if push is not None:
        events.append((push, make_event(pb, pb.Event.INPUT, "pushed_model")))
    number = int(store.put_execution(execution, events, [])[0])
    return number, "" if push is not None else f"the metadata store knows no push of version {verdict.model_version}"


def _make_artifact(store: Any, pb: Any, verdict: ServingVerdict, folder: Path) -> Any:
    kind = store.put_artifact_type(pb.ArtifactType(name=SERVING_VERDICT), can_add_fields=True, can_omit_fields=True)
    artifact = pb.Artifact(type_id=kind, uri=str(folder), state=pb.Artifact.LIVE)
    values = verdict.model_dump(include={"model", "model_version", "status", "rows", "requests", "digest"})
    times = {"window_start": int(verdict.window_start), "window_end": int(verdict.window_end)}
    set_properties(artifact, {**values, **times, "reason": verdict.reason[:2000]})
    return artifact


def _find_push(store: Any, root: Root, verdict: ServingVerdict) -> Any:
    """The `PushedModel` of the version, or None where the store knows none."""
    folder = str(root.serving / verdict.model / str(verdict.model_version))
    for artifact in store.get_artifacts_by_type(PUSHED_MODEL):
        if artifact.custom_properties["pushed_destination"].string_value == folder:
            return artifact
    return None


def mark_deleted(root: Root, folders: set[str]) -> None:
    """Marks the artifacts of verdicts whose folders are gone."""
    from ml_metadata.proto import metadata_store_pb2 as pb

    if not folders or not store_file.has_store_file(root):
        return
    store = mlmd_connection.open_for_writing(root.metadata)
    gone = [each for each in store.get_artifacts_by_type(SERVING_VERDICT) if each.uri in folders]
    for artifact in gone:
        artifact.state = pb.Artifact.DELETED
    if gone:
        store.put_artifacts(gone)
