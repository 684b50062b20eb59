"""What people do to a serving directory beside pushing: roll back, promote, demote."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from taxiway.components.serving.versions import push, rollback_record, server_files
from taxiway.components.serving.versions.action_log import Actor, Kind, VersionAction, append_action
from taxiway.components.serving.versions.candidates import changes
from taxiway.components.serving.versions.candidates.candidate import Candidate
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.push_result import PushResult
from taxiway.components.serving.versions.staging import explain_os_errors
from taxiway.components.serving.versions.version import format_time


@dataclass(frozen=True)
class RollbackResult:
    """A rollback that was made.

    Attributes:
        result: The new version.
        execution: Id of its execution in ML Metadata; None where it is not recorded there.
        not_recorded: Why it is not recorded; empty where it is.
        unfinished: What else failed after the version went live, a sentence each with what to do.
    """

    result: PushResult
    execution: int | None
    not_recorded: str
    unfinished: tuple[str, ...] = ()


def rollback_version(
    directory: ServingDirectory,
    model: str,
    open_store: Callable[[], Any],
    to: int | None = None,
    reason: str = "",
    actor: Actor | None = None,
    *,
    seen_live: int | None = None,
) -> RollbackResult:
    """Makes an earlier version live again, records it in ML Metadata, and rewrites the server's files.

    Args:
        directory: Serving directory of the model.
        model: Name of the model.
        open_store: Function that opens the `ml_metadata.MetadataStore` for writing, called after the rollback; where it
            returns None or raises, the rollback is not recorded.
        to: The version whose bytes return; None: see `ServingDirectory.rollback`.
        reason: Reason, for the records.
        actor: Who does it; None: the process's user, on the command line.
        seen_live: The version that was live when it was decided; None: not compared.

    Returns:
        Result, also where something failed after the version went live: no error hides that it is.

    Raises:
        ServingError: There is nothing to return to, or another version is live. The live version is then as it was.
    """
    actor = actor or Actor(reason=reason)
    result = directory.rollback(to, reason=reason, seen_live=seen_live)
    before = result.provenance.get("rollback_of")
    unfinished = _finish_action(directory, model, "rollback", result.version or 0, before, actor)
    execution, not_recorded = _record_rollback(directory, model, open_store, result, actor)
    return RollbackResult(result, execution, not_recorded, tuple(unfinished))


def _record_rollback(
    directory: ServingDirectory, model: str, open_store: Callable[[], Any], result: PushResult, actor: Actor
) -> tuple[int | None, str]:
    """The execution's id, and why there is none."""
    return _record_safely(
        open_store,
        "The rollback",
        lambda store: rollback_record.record_rollback(store, model, directory.base, result, actor),
    )


def _record_safely(open_store: Callable[[], Any], what: str, record: Callable[[Any], int]) -> tuple[int | None, str]:
    try:
        store = open_store()
        if store is None:
            return None, "there is no metadata store"
        return record(store), ""
    except Exception as error:  # whatever it is, what was done stands, and the caller has to hear that
        return None, f"{what} stands, but the metadata store did not take its record: {error}"


def promote_candidate(
    directory: ServingDirectory,
    model: str,
    open_store: Callable[[], Any],
    actor: Actor | None = None,
    *,
    seen_candidate: int | None = None,
) -> RollbackResult:
    """Makes the candidate live, records it in ML Metadata, and rewrites the server's files; see `rollback_version`.

    Raises:
        ServingError: There is no candidate, or another one than `seen_candidate`. The live version is then as it was.
    """
    actor, steps, before = actor or Actor(), _format_steps(directory), directory.find_live()
    result = changes.promote_candidate(directory, reason=actor.reason, seen_candidate=seen_candidate)
    number, unfinished = before.number if before else None, list[str]()
    with _keep_failure(unfinished, "Old versions were not removed; the next push does that"):
        directory.retain_newest(server_files.read_settings(directory).versions_kept)
    # After it: the server's files name no version that is gone.
    unfinished += _finish_action(directory, model, "promotion", result.version or 0, number, actor)
    execution, not_recorded = _record_safely(
        open_store,
        "The promotion",
        lambda store: rollback_record.record_promotion(store, model, directory.base, result, actor, steps),
    )
    return RollbackResult(result, execution, not_recorded, tuple(unfinished))


def withdraw_candidate(
    directory: ServingDirectory,
    model: str,
    open_store: Callable[[], Any],
    actor: Actor | None = None,
    *,
    seen_candidate: int | None = None,
) -> RollbackResult:
    """Takes the candidate out of service, records it, and rewrites the server's files; the live version stays.

    Raises:
        ServingError: There is no candidate, or another one than `seen_candidate`.
    """
    actor, steps = actor or Actor(), _format_steps(directory)
    withdrawn = changes.withdraw_candidate(directory, reason=actor.reason, seen_candidate=seen_candidate).number
    unfinished = _finish_action(directory, model, "withdrawal", withdrawn, withdrawn, actor)
    execution, not_recorded = _record_safely(
        open_store,
        "The rollback",
        lambda store: rollback_record.record_withdrawal(store, model, directory.base, withdrawn, actor, steps),
    )
    live = directory.find_live()
    words = f"the candidate, version {withdrawn}, is taken back; the live version stays"
    number, path, digest = (live.number, live.path, live.digest) if live else (None, None, "")
    result = PushResult(False, number, path, digest, words)
    return RollbackResult(result, execution, not_recorded, tuple(unfinished))


def set_share(
    directory: ServingDirectory, model: str, share: float, actor: Actor | None = None
) -> tuple[Candidate, tuple[str, ...]]:
    """Gives the candidate another share of the requests, and rewrites the server's files.

    Returns:
        The candidate, and what failed after its share was changed, a sentence each with what to do.

    Raises:
        ServingError: There is no candidate, or it is no share. Nothing was changed.
    """
    actor = actor or Actor()
    changed = changes.set_share(directory, share, reason=actor.reason, user=actor.name)
    return changed, tuple(_finish_action(directory, model, "share", changed.version, changed.version, actor))


def _format_steps(directory: ServingDirectory) -> str:
    candidate = directory.load_state().candidate
    return json.dumps([vars(step) for step in candidate.steps]) if candidate else "[]"


def promote_version(
    directory: ServingDirectory,
    model: str,
    number: int,
    label: str,
    actor: Actor | None = None,
    *,
    seen_live: int | None = None,
) -> tuple[str, ...]:
    """Gives a label to a version, records it in the action log, and rewrites the server's files.

    Args:
        directory: Serving directory of the model.
        model: Name of the model.
        number: The version.
        label: The label.
        actor: Who does it and why; None: the process's user, on the command line.
        seen_live: The version that was live when it was decided; None: not compared.

    Returns:
        What failed after the label was given, a sentence each with what to do.

    Raises:
        ServingError: There is no such version, or it is no label. Nothing was changed.
    """
    before = directory.promote(number, label, seen_live=seen_live)
    return tuple(_finish_action(directory, model, "promote", number, before, actor or Actor(), label))


def demote_label(
    directory: ServingDirectory,
    model: str,
    label: str,
    actor: Actor | None = None,
    *,
    seen_version: int | None = None,
) -> tuple[int, tuple[str, ...]]:
    """Takes a label away, records it in the action log, and rewrites the server's files.

    Args:
        directory: Serving directory of the model.
        model: Name of the model.
        label: The label.
        actor: Who does it and why; None: the process's user, on the command line.
        seen_version: The version that had the label when it was decided; None: not compared.

    Returns:
        The version that had it, and what failed after the label was taken away, a sentence each with what to do.

    Raises:
        ServingError: There is no such label, or another version has it. Nothing was changed.
    """
    before = directory.demote(label, seen_version=seen_version)
    return before, tuple(_finish_action(directory, model, "demote", before, before, actor or Actor(), label))


def _finish_action(
    directory: ServingDirectory,
    model: str,
    kind: Kind,
    version: int,
    before: int | None,
    actor: Actor,
    label: str = "",
) -> list[str]:
    """Keeps an action that was done, rewrites the server's files, and the object store's copy where there is one.

    Returns:
        What of this failed. One failure keeps nothing from the others.
    """
    unfinished = list[str]()
    with _keep_failure(unfinished, "The action log of the serving directory has no line of it"):
        _log_action(directory, kind, version, before, actor, label)
    with _keep_failure(
        unfinished, "The server's files were not rewritten; the next push, rollback or label does that again"
    ):
        server_files.refresh_files(directory, model)
    with _keep_failure(
        unfinished, "The object store has no copy of it; the next push, rollback or label copies what is missing"
    ):
        push.publish_versions(directory, model, server_files.read_settings(directory))
    return unfinished


@contextlib.contextmanager
def _keep_failure(failures: list[str], what: str) -> Iterator[None]:
    """Adds a sentence where something inside fails, whatever it is: what was done stands all the same."""
    try:
        yield
    except Exception as error:
        failures.append(f"{what}: {error or type(error).__name__}")


def _log_action(
    directory: ServingDirectory, kind: Kind, version: int, before: int | None, actor: Actor, label: str = ""
) -> None:
    now = format_time(time.time())
    action = VersionAction(now, kind, version, label, before, actor.name, actor.reason, actor.through)
    with explain_os_errors(directory.base):
        append_action(directory.base, action)
