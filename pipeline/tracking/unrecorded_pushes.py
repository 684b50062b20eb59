"""Pushes that only the serving directory knows: the run was killed, or its disk filled, before it recorded them.

The version carries its own provenance. Commands that read take the push from there; the next run records it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.errors import TaxiwayError
from taxiway.components.serving.versions import rollback_record
from taxiway.components.serving.versions.candidates.candidate import PROMOTED_FROM
from taxiway.components.serving.versions.directory import ServingDirectory, Version
from taxiway.pipeline.exit_codes import EXIT_LIVE
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.run_record import PushRecord, RunRecord
from taxiway.pipeline.tracking.store.mlmd_connection import RUN_CONTEXT, find_node, open_for_writing
from taxiway.pipeline.tracking.store.store_file import has_store_file

PUSHER = "Pusher"
LATER = "recorded later, from the version's own provenance"
_ENDED = (pb.Execution.COMPLETE, pb.Execution.CACHED)


class NotRecordedError(TaxiwayError):
    """A version is live, and something after its push failed."""


def find_pushed_version(root: Root, model: str, run_id: str) -> Version | None:
    """The version whose provenance names the run, if any; no rollback, which carries another push's provenance."""
    folder = root.serving / model
    if not model or not folder.is_dir():
        return None
    versions = (v for v in ServingDirectory(folder).list_versions() if v.provenance.get("run_id") == run_id)
    return next((version for version in versions if not _is_republished(version)), None)


def _is_republished(version: Version) -> bool:
    """Whether a rollback or a promotion published it, which carries another push's provenance."""
    return bool(version.provenance.get("rollback_of") or version.provenance.get(PROMOTED_FROM))


def explain_error(error: Exception, root: Root, model: str, run_id: str) -> Exception:
    """The error; where the run's version is live all the same, one that says so."""
    version = None
    if not isinstance(error, NotRecordedError):
        with contextlib.suppress(TaxiwayError, OSError):  # the error itself matters more
            version = find_pushed_version(root, model, run_id)
    if version is None:
        return error
    state = "is a candidate" if version.candidate else "is live"
    problem = error.problem if isinstance(error, TaxiwayError) else f"{type(error).__name__}: {error}"
    return NotRecordedError(
        f"Version {version.number} of {model} {state}, but could not be recorded: {problem}",
        f"{error.remedy if isinstance(error, TaxiwayError) else 'The log has the details.'}\n"
        "The next run records it from the version's own provenance.",
    )


def add_pushes(root: Root, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs, each with its push where only the serving directory knows it. Nothing is written.

    Where the serving directory cannot be read, the reason of a run that may have pushed says so.
    """
    return [_add_push(root, run) for run in runs]


def _add_push(root: Root, run: RunRecord) -> RunRecord:
    if run.push is not None or run.state not in ("failed", "interrupted"):
        return run
    try:
        version = find_pushed_version(root, run.model, run.run_id)
    except (TaxiwayError, OSError) as error:
        problem, remedy = (error.problem, error.remedy) if isinstance(error, TaxiwayError) else (str(error), "")
        reason = f"whether a version of it is live cannot be read ({problem}): {run.reason}\n{remedy}"
        return run.model_copy(update={"reason": reason.strip()})
    if version is None:
        return run
    state = "a candidate" if version.candidate else "live"
    reason = f"version {version.number} is {state}, but was not recorded: {run.reason}"
    return run.model_copy(update={"push": _make_push_record(version), "reason": reason})


def record_missing_pushes(root: Root) -> list[str]:
    """Records the pushes that only the serving directory knows. The caller holds the root's lock; no execution is open.

    Returns:
        A sentence on each push that was recorded.
    """
    said = []
    folders = sorted(root.serving.iterdir()) if root.serving.is_dir() and has_store_file(root) else []
    for folder in filter(lambda path: path.is_dir(), folders):
        for version in ServingDirectory(folder).list_versions():
            run_id = str(version.provenance.get("run_id") or "")
            if run_id and not _is_republished(version) and _record_push(root, folder.name, version, run_id):
                said.append(
                    f"Version {version.number} of {folder.name}, pushed by run {run_id}, was not recorded; now it is."
                )
    return said


def _record_push(root: Root, model: str, version: Version, run_id: str) -> bool:
    in_store = _record_in_store(open_for_writing(root.metadata), model, version, run_id)
    return _record_in_summary(root, version, run_id) or in_store


def _record_in_store(mlmd: Any, model: str, version: Version, run_id: str) -> bool:
    """Completes the Pusher's execution and gives it its output, as `rollback_record` does for a rollback."""
    context = mlmd.get_context_by_type_and_name(RUN_CONTEXT, run_id)
    executions = mlmd.get_executions_by_context(context.id) if context else []
    pushers = [each for each in executions if find_node(mlmd, each)[1] == PUSHER]
    if not pushers or any(each.last_known_state in _ENDED for each in pushers):
        return False
    pushers[-1].last_known_state = pb.Execution.COMPLETE
    rollback_record.record_push(mlmd, model, version.number, version.path, version.digest, LATER, pushers[-1])
    return True


def _record_in_summary(root: Root, version: Version, run_id: str) -> bool:
    run = run_record.read_summary(root.run_folder(run_id))
    if run is None or run.push is not None or run.state == "live":
        return False
    changes = {"state": "done", "reason": LATER}
    nodes = tuple(node.model_copy(update=changes) if node.node == PUSHER else node for node in run.nodes)
    reason = f"{LATER}; the run itself had ended otherwise: {run.reason}"
    ending = {"state": "done" if version.candidate else "live", "exit_code": EXIT_LIVE, "reason": reason, "resume": ""}
    changed = run.model_copy(update={**ending, "push": _make_push_record(version), "nodes": nodes})
    run_record.write_summary(changed, root.run_folder(run_id))
    return True


def _make_push_record(version: Version) -> PushRecord:
    policy = version.candidate.policy if version.candidate else ""
    return PushRecord(pushed=True, version=version.number, path=str(version.path), reason=LATER, candidate=policy)
