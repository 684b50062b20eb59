"""Pushes that stand in a serving directory and nowhere else: a run was killed, or its disk filled, after the rename.

The version carries its own provenance. Commands that read tell it from there; the next run writes it down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as pb

from components.errors import TaxiwayError
from components.serving import record as pushed_model
from components.serving.directory import ServingDirectory, Version
from pipeline import record, recovery, store
from pipeline.layout import Root
from pipeline.record import PushRecord, RunRecord

PUSHER = "Pusher"
LATER = "recorded later, from the version's own provenance"
_ENDED = (pb.Execution.COMPLETE, pb.Execution.CACHED)


class NotRecordedError(TaxiwayError):
    """A version is live, and something after its push failed."""


def version_of(root: Root, model: str, run_id: str) -> Version | None:
    """The version that a run pushed, by the version's own words. A rollback carries another push's provenance."""
    folder = root.serving / model
    if not model or not folder.is_dir():
        return None
    found = (v for v in ServingDirectory(folder).versions() if v.provenance.get("run_id") == run_id)
    return next((version for version in found if not version.provenance.get("rollback_of")), None)


def explain_error(error: Exception, root: Root, model: str, run_id: str) -> Exception:
    """The error, which says so where the run's version is live in spite of it."""
    version = version_of(root, model, run_id) if not isinstance(error, NotRecordedError) else None
    if version is None:
        return error
    problem = error.problem if isinstance(error, TaxiwayError) else f"{type(error).__name__}: {error}"
    return NotRecordedError(
        f"Version {version.number} of {model} is live, but could not be recorded: {problem}",
        f"{error.remedy if isinstance(error, TaxiwayError) else 'The log has the details.'}\n"
        "The next run records it from the version's own provenance.",
    )


def add_pushes(root: Root, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs, each with its push where only the version tells of it. Nothing is written."""
    return [_add_push(root, run) for run in runs]


def _add_push(root: Root, run: RunRecord) -> RunRecord:
    if run.push is not None or run.state not in ("failed", "interrupted"):
        return run
    version = version_of(root, run.model, run.run_id)
    if version is None:
        return run
    reason = f"version {version.number} is live, but was not recorded: {run.reason}"
    return run.model_copy(update={"push": _push(version), "reason": reason})


def record_missing(root: Root) -> list[str]:
    """Writes down the pushes that only versions tell of. The caller holds the root's lock; no execution is open.

    Returns:
        What was recorded, one sentence each.
    """
    said = []
    folders = sorted(root.serving.iterdir()) if root.serving.is_dir() and recovery.has_store(root) else []
    for folder in filter(lambda path: path.is_dir(), folders):
        for version in ServingDirectory(folder).versions():
            run_id = str(version.provenance.get("run_id") or "")
            if run_id and not version.provenance.get("rollback_of") and _record(root, folder.name, version, run_id):
                said.append(
                    f"Version {version.number} of {folder.name}, pushed by run {run_id}, was not recorded; now it is."
                )
    return said


def _record(root: Root, model: str, version: Version, run_id: str) -> bool:
    in_store = _record_in_store(recovery.writable(root), model, version, run_id)
    return _record_in_summary(root, version, run_id) or in_store


def _record_in_store(mlmd: Any, model: str, version: Version, run_id: str) -> bool:
    """The Pusher's execution did come to its end: it gets its output, as `components.serving.record` writes one."""
    context = mlmd.get_context_by_type_and_name(store.RUN_CONTEXT, run_id)
    found = mlmd.get_executions_by_context(context.id) if context else []
    pushers = [each for each in found if _node(mlmd, each) == PUSHER]
    if not pushers or any(each.last_known_state in _ENDED for each in pushers):
        return False
    pushers[-1].last_known_state = pb.Execution.COMPLETE
    pushed_model.push(mlmd, model, version.number, version.path, version.digest, LATER, pushers[-1])
    return True


def _node(mlmd: Any, execution: pb.Execution) -> str:
    contexts = mlmd.get_contexts_by_execution(execution.id)
    return next((c.name.rpartition(".")[2] for c in contexts if c.type == store.NODE_CONTEXT), "")


def _record_in_summary(root: Root, version: Version, run_id: str) -> bool:
    run = record.read(root.run(run_id))
    if run is None or run.push is not None or run.state == "live":
        return False
    done = {"state": "done", "reason": LATER}
    nodes = tuple(node.model_copy(update=done) if node.node == PUSHER else node for node in run.nodes)
    changes = {"state": "live", "exit_code": 0, "push": _push(version), "nodes": nodes, "resume": ""}
    reason = f"{LATER}; the run itself had ended otherwise: {run.reason}"
    record.write(run.model_copy(update={**changes, "reason": reason}), root.run(run_id))
    return True


def _push(version: Version) -> PushRecord:
    return PushRecord(pushed=True, version=version.number, path=str(version.path), reason=LATER)
