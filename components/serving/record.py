"""A rollback as an execution in ML Metadata: lineage tells it like a push. Imports neither TFX nor TensorFlow."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

from components.errors import StoreError
from components.serving.directory import PushResult

EXECUTION_TYPE = "taxiway.Rollback"
PUSHED_MODEL = "PushedModel"
"""TFX's own type: a rollback's output is told like a push's."""


def rollback(metadata: Path, model: str, base: Path, result: PushResult) -> int:
    """Writes the execution: in, the push whose bytes returned; out, a `PushedModel` with the pusher's own properties.

    Args:
        metadata: The sqlite file.
        model: The model's name.
        base: The serving directory.
        result: Of the rollback.

    Returns:
        The execution's id.

    Raises:
        StoreError: The store cannot be written.
    """
    from ml_metadata import errors
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2 as pb

    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata)
    try:
        store = metadata_store.MetadataStore(config)
        execution = _execution(store, pb, model, result)
        outputs = [_pushed(store, pb, model, result)]
        events = [(outputs[0], _event(pb, pb.Event.OUTPUT, "pushed_model"))]
        source = _push_of(store, base, result.provenance.get("bytes_of"))
        if source is not None:
            events.append((source, _event(pb, pb.Event.INPUT, "model")))
        return int(store.put_execution(execution, events, [])[0])
    except (errors.StatusError, RuntimeError) as error:  # opening a foreign file is a plain RuntimeError there
        raise StoreError(
            f"The rollback stands, but {metadata} did not take its record: {error}.",
            "Another process may hold the store; the version's provenance tells the rollback too.",
        ) from error


def push(store: Any, model: str, number: int, path: Path, digest: str, reason: str, execution: Any) -> None:
    """Gives an execution the `PushedModel` that it did push: the process died before TFX could write it down.

    Args:
        store: An `ml_metadata.MetadataStore`, opened for writing.
        model: Its name.
        number, path, digest: Of the version.
        reason: For the artifact.
        execution: ML Metadata's, with its new state.
    """
    from ml_metadata.proto import metadata_store_pb2 as pb

    result = PushResult(True, number, path, digest, reason)
    event = _event(pb, pb.Event.OUTPUT, "pushed_model")
    store.put_execution(execution, [(_pushed(store, pb, model, result), event)], [])


def _execution(store: Any, pb: Any, model: str, result: PushResult) -> Any:
    kind = store.put_execution_type(pb.ExecutionType(name=EXECUTION_TYPE))
    execution = pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE)
    _set(execution, {"model": model, "user": _user(), "reason": str(result.provenance.get("rollback_reason") or "")})
    _set(execution, {name: int(result.provenance[name]) for name in ("rollback_of", "bytes_of")})
    return execution


def _pushed(store: Any, pb: Any, model: str, result: PushResult) -> Any:
    kind = store.put_artifact_type(pb.ArtifactType(name=PUSHED_MODEL), can_add_fields=True, can_omit_fields=True)
    artifact = pb.Artifact(type_id=kind, uri=str(result.path), state=pb.Artifact.LIVE)
    values = {"pushed": 1, "pushed_version": str(result.version), "pushed_destination": str(result.path)}
    _set(artifact, {**values, "digest": result.digest, "reason": result.reason, "model": model})
    return artifact


def _push_of(store: Any, base: Path, number: Any) -> Any:
    """The `PushedModel` of a version, or None where the store knows none."""
    for artifact in store.get_artifacts_by_type(PUSHED_MODEL):
        if artifact.custom_properties["pushed_destination"].string_value == str(base / str(number)):
            return artifact
    return None


def _event(pb: Any, kind: int, key: str) -> Any:
    event = pb.Event(type=kind)
    event.path.steps.add(key=key)
    event.path.steps.add(index=0)
    return event


def _set(target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, int):
            target.custom_properties[name].int_value = value
        else:
            target.custom_properties[name].string_value = value


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return ""
