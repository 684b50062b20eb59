"""The runs of a root: from their summaries, and from ML Metadata for runs that other tools started."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil

from taxiway.components.errors import StoreError, UsageError, suggest_matches
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import run_record, unrecorded_pushes
from taxiway.pipeline.tracking.run_order import sort_newest_first
from taxiway.pipeline.tracking.run_record import RunRecord
from taxiway.pipeline.tracking.store.metadata_store import RunStore, has_runs

CLOCK_TOLERANCE_SECONDS = 2.0
"""By so much a process's start may differ between two readings."""


def list_runs(root: Root, limit: int | None = None) -> list[RunRecord]:
    """The runs, newest first. One whose summary cannot be read is listed as such.

    Raises:
        UsageError: There is no root.
        StoreError: `metadata.db` is damaged.
    """
    store = _open_store(root)
    records = [_load_or_explain(root, run_id, store) for run_id in _order_run_ids(root, store)[:limit]]
    return unrecorded_pushes.add_pushes(root, records)


def _load_or_explain(root: Root, run_id: str, store: RunStore | None) -> RunRecord:
    try:
        return _load_run(root, run_id, store)
    except StoreError as error:
        return RunRecord(run_id=run_id, state="unreadable", started=_read_folder_time(root, run_id), reason=str(error))


def list_run_ids(root: Root) -> list[str]:
    """Ids of the runs, newest first.

    Raises:
        UsageError: There is no root.
        StoreError: `metadata.db` is damaged.
    """
    return _order_run_ids(root, _open_store(root))


def has_recorded_run(root: Root) -> bool:
    """Whether a run has left a record: a summary in its folder, or an entry in the store. A folder alone is none: a run
    makes it first.

    Raises:
        StoreError: `metadata.db` is damaged or lost.
    """
    folders = list(root.runs.iterdir()) if root.runs.is_dir() else []
    if any((folder / run_record.SUMMARY_FILE).exists() for folder in folders):
        return True
    return has_runs(root) and bool(RunStore.open_root(root).read_run_times())


def _open_store(root: Root) -> RunStore | None:
    """The store of a root; None where nothing is recorded yet."""
    if not root.path.is_dir():
        raise UsageError(f"There is no root {root.path}.", "Name the --root of a run, or make one with: taxiway run")
    return RunStore.open_root(root) if has_runs(root) else None


def _order_run_ids(root: Root, store: RunStore | None) -> list[str]:
    folders = {path.name for path in root.runs.iterdir() if path.is_dir()} if root.runs.is_dir() else set()
    times = store.read_run_times() if store else {}
    began = {**{name: times.get(name) or _read_folder_time(root, name) for name in folders}, **times}
    return sort_newest_first(root, began)


def _read_folder_time(root: Root, name: str) -> float:
    """When a run that left nothing else began; 0 where there is no folder either."""
    folder = root.run_folder(name)
    return folder.stat().st_mtime if folder.exists() else 0.0


def find_run(root: Root, run: str | None) -> RunRecord:
    """One run by its id or the start of it; the newest where None.

    Raises:
        UsageError: There is none, or several begin so.
    """
    store = _open_store(root)
    run_ids = _order_run_ids(root, store)
    if not run_ids:
        raise UsageError(f"Nothing has run under {root.path} yet.", "Make a run with: taxiway run")
    if run is None:
        return unrecorded_pushes.add_pushes(root, [_load_run(root, run_ids[0], store)])[0]
    matches = [name for name in run_ids if name == run] or [name for name in run_ids if name.startswith(run)]
    if len(matches) == 1:
        return unrecorded_pushes.add_pushes(root, [_load_run(root, matches[0], store)])[0]
    if matches:
        raise UsageError(f"{len(matches)} runs begin with {run!r}: {', '.join(matches[:5])}.", "Give more of the id.")
    raise UsageError(
        f"There is no run {run!r} under {root.path}.", suggest_matches(run, run_ids) or "See: taxiway runs"
    )


def _load_run(root: Root, run_id: str, store: RunStore | None) -> RunRecord:
    record = run_record.read_summary(root.run_folder(run_id))
    if record is None:
        from taxiway.pipeline.tracking import reconstruction  # its readers of artifacts cost a tenth of a second

        return reconstruction.reconstruct_run(root, run_id, store)
    return mark_interrupted(record) if record.state == "running" and not is_alive(record) else record


def is_alive(run: RunRecord) -> bool:
    """Whether the process that began the run still exists; a process id alone is used again by others."""
    if run.process is None:
        return False
    pid, started = run.process
    with contextlib.suppress(psutil.Error):
        return abs(psutil.Process(pid).create_time() - started) < CLOCK_TOLERANCE_SECONDS
    return False


def mark_interrupted(run: RunRecord) -> RunRecord:
    """The record of a run whose process ended without recording how."""
    nodes = [n.model_copy(update={"state": "interrupted"}) if n.state == "running" else n for n in run.nodes]
    where = next((f" in {node.node}" for node in nodes if node.state == "interrupted"), "")
    changes = {"state": "interrupted", "nodes": tuple(nodes), "reason": f"the process ended without a word{where}"}
    return run.model_copy(update=changes)


def list_artifacts(root: Root, run: RunRecord) -> list[dict[str, Any]]:
    """The artifacts that the run's nodes wrote or took from the cache: node, output, type, id, URI, state."""
    store = _open_store(root)
    execution_ids = (
        {execution.id for execution in store.list_run_executions(run.run_id)} if store else set()
    )  # not another store's ids
    nodes = {node.execution_id: node.node for node in run.nodes if node.execution_id in execution_ids}
    return [
        {"node": nodes[execution], "output": a.key, "type": a.type, "id": a.id, "uri": a.uri, "state": a.state}
        for execution, written in (store.list_outputs_of(list(nodes)) if store else {}).items()
        for a in written
    ]
