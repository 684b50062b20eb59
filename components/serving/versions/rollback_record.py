"""A rollback or a promotion as an execution in ML Metadata: lineage shows it like a push. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxiway.components.serving.versions.action_log import Actor
from taxiway.components.serving.versions.push_result import PushResult

EXECUTION_TYPE = "taxiway.Rollback"
PROMOTION_TYPE = "taxiway.Promotion"
PUSHED_MODEL = "PushedModel"
"""TFX's own type: a rollback's output is shown like a push's."""


def record_rollback(store: Any, model: str, base: Path, result: PushResult, actor: Actor | None = None) -> int:
    """Writes the execution: in, the push whose bytes returned; out, a `PushedModel` with the pusher's own properties.

    Args:
        store: An `ml_metadata.MetadataStore`, opened for writing.
        model: The model's name.
        base: The serving directory.
        result: Result of the rollback.
        actor: Who made it; None: the process's user.

    Returns:
        The execution's id.
    """
    from ml_metadata.proto import metadata_store_pb2 as pb

    properties = {"reason": str(result.provenance.get("rollback_reason") or "")}
    numbers = {name: int(result.provenance[name]) for name in ("rollback_of", "bytes_of")}
    execution = _make_execution(store, pb, EXECUTION_TYPE, model, actor or Actor(), {**properties, **numbers})
    events = [(_make_pushed_model(store, pb, model, result), make_event(pb, pb.Event.OUTPUT, "pushed_model"))]
    source = _find_pushed_model(store, base, result.provenance.get("bytes_of"))
    if source is not None:
        events.append((source, make_event(pb, pb.Event.INPUT, "model")))
    return int(store.put_execution(execution, events, [])[0])


def record_promotion(store: Any, model: str, base: Path, result: PushResult, actor: Actor, steps: str) -> int:
    """Writes a candidate's promotion: in, the candidate's push; out, a `PushedModel` as of a push.

    Args:
        store: An `ml_metadata.MetadataStore`, opened for writing.
        model: The model's name.
        base: The serving directory.
        result: Result of the promotion.
        actor: Who made it.
        steps: The shares that the candidate had, with times, reasons and users, as JSON.

    Returns:
        The execution's id.
    """
    from ml_metadata.proto import metadata_store_pb2 as pb

    number = int(result.provenance["promoted_from"])
    reason = str(result.provenance.get("promotion_reason") or "")
    properties = {"reason": reason, "promoted_from": number, "bytes_of": number, "steps": steps}
    execution = _make_execution(store, pb, PROMOTION_TYPE, model, actor, properties)
    events = [(_make_pushed_model(store, pb, model, result), make_event(pb, pb.Event.OUTPUT, "pushed_model"))]
    source = _find_pushed_model(store, base, number)
    if source is not None:
        events.append((source, make_event(pb, pb.Event.INPUT, "model")))
    return int(store.put_execution(execution, events, [])[0])


def record_withdrawal(store: Any, model: str, base: Path, number: int, actor: Actor, steps: str) -> int:
    """Writes that a candidate was taken back: in, its push; nothing comes out. See `record_promotion`."""
    from ml_metadata.proto import metadata_store_pb2 as pb

    properties = {"reason": actor.reason, "rollback_of": number, "steps": steps}
    execution = _make_execution(store, pb, EXECUTION_TYPE, model, actor, properties)
    source = _find_pushed_model(store, base, number)
    events = [] if source is None else [(source, make_event(pb, pb.Event.INPUT, "model"))]
    return int(store.put_execution(execution, events, [])[0])


def record_push(store: Any, model: str, number: int, path: Path, digest: str, reason: str, execution: Any) -> None:
    """Gives an execution the `PushedModel` that it did push: the process died before TFX could write it down.

    Args:
        store: An `ml_metadata.MetadataStore`, opened for writing.
        model: Name of the model.
        number, path, digest: Those of the version.
        reason: Reason, for the artifact.
        execution: ML Metadata's, with its new state.
    """
    from ml_metadata.proto import metadata_store_pb2 as pb

    result = PushResult(True, number, path, digest, reason)
    event = make_event(pb, pb.Event.OUTPUT, "pushed_model")
    store.put_execution(execution, [(_make_pushed_model(store, pb, model, result), event)], [])


def _make_execution(
    store: Any, pb: Any, type_name: str, model: str, actor: Actor, properties: Mapping[str, Any]
) -> Any:
    kind = store.put_execution_type(pb.ExecutionType(name=type_name))
    execution = pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE)
    set_properties(execution, {"model": model, "user": actor.name, **properties})
    return execution


def _make_pushed_model(store: Any, pb: Any, model: str, result: PushResult) -> Any:
    kind = store.put_artifact_type(pb.ArtifactType(name=PUSHED_MODEL), can_add_fields=True, can_omit_fields=True)
    artifact = pb.Artifact(type_id=kind, uri=str(result.path), state=pb.Artifact.LIVE)
    values = {"pushed": 1, "pushed_version": str(result.version), "pushed_destination": str(result.path)}
    set_properties(artifact, {**values, "digest": result.digest, "reason": result.reason, "model": model})
    return artifact


def _find_pushed_model(store: Any, base: Path, number: Any) -> Any:
    """The `PushedModel` of a version, or None where the store knows none."""
    for artifact in store.get_artifacts_by_type(PUSHED_MODEL):
        if artifact.custom_properties["pushed_destination"].string_value == str(base / str(number)):
            return artifact
    return None


def make_event(pb: Any, kind: int, key: str) -> Any:
    """An event of the first artifact under a key, as TFX writes it."""
    event = pb.Event(type=kind)
    event.path.steps.add(key=key)
    event.path.steps.add(index=0)
    return event


def set_properties(target: Any, values: dict[str, Any]) -> None:
    """Writes whole numbers and texts as custom properties of an artifact or an execution."""
    for name, value in values.items():
        if isinstance(value, int):
            target.custom_properties[name].int_value = value
        else:
            target.custom_properties[name].string_value = value
