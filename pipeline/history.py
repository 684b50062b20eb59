"""What ran under a root: the summaries that runs left, and ML Metadata for runs that other tools started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import psutil
from rich.table import Table

from components.errors import StoreError, UsageError, close_matches
from pipeline import output, record, unrecorded_pushes
from pipeline.layout import Root
from pipeline.record import RunRecord
from pipeline.run_order import sort_newest_first
from pipeline.store import Store, knows_runs

CLOCK_TOLERANCE_SECONDS = 2.0
"""By so much a process's start may differ between two readings."""

REASON_WIDTH = 60
ID_WIDTH, ID_SHOWN = 24, 13
"""Longer ids, such as those of a cluster, are cut in a list."""


def runs(root: Root, limit: int | None = None) -> list[RunRecord]:
    """The runs, newest first. One whose summary cannot be read is listed as such.

    Raises:
        UsageError: There is no root.
        StoreError: `metadata.db` is damaged.
    """
    store = _store(root)
    found = [_load_or_say_why(root, run_id, store) for run_id in _newest_first(root, store)[:limit]]
    return unrecorded_pushes.add_pushes(root, found)


def _load_or_say_why(root: Root, run_id: str, store: Store | None) -> RunRecord:
    try:
        return _load(root, run_id, store)
    except StoreError as error:
        return RunRecord(run_id=run_id, state="unreadable", started=_folder_time(root, run_id), reason=str(error))


def run_ids(root: Root) -> list[str]:
    """Ids of the runs, newest first.

    Raises:
        UsageError: There is no root.
        StoreError: `metadata.db` is damaged.
    """
    return _newest_first(root, _store(root))


def _store(root: Root) -> Store | None:
    """What a root knows; None where it knows nothing yet."""
    if not root.path.is_dir():
        raise UsageError(f"There is no root {root.path}.", "Name the --root of a run, or make one with: taxiway run")
    return Store.of(root) if knows_runs(root) else None


def _newest_first(root: Root, store: Store | None) -> list[str]:
    folders = {path.name for path in root.runs.iterdir() if path.is_dir()} if root.runs.is_dir() else set()
    times = store.run_times() if store else {}
    began = {**{name: times.get(name) or _folder_time(root, name) for name in folders}, **times}
    return sort_newest_first(root, began)


def _folder_time(root: Root, name: str) -> float:
    """When a run that left nothing else began; 0 where there is no folder either."""
    folder = root.run(name)
    return folder.stat().st_mtime if folder.exists() else 0.0


def find(root: Root, run: str | None) -> RunRecord:
    """One run by its id or the start of it; the newest where None.

    Raises:
        UsageError: There is none, or several begin so.
    """
    store = _store(root)
    known = _newest_first(root, store)
    if not known:
        raise UsageError(f"Nothing has run under {root.path} yet.", "Make a run with: taxiway run")
    if run is None:
        return unrecorded_pushes.add_pushes(root, [_load(root, known[0], store)])[0]
    matches = [name for name in known if name == run] or [name for name in known if name.startswith(run)]
    if len(matches) == 1:
        return unrecorded_pushes.add_pushes(root, [_load(root, matches[0], store)])[0]
    if matches:
        raise UsageError(f"{len(matches)} runs begin with {run!r}: {', '.join(matches[:5])}.", "Give more of the id.")
    raise UsageError(f"There is no run {run!r} under {root.path}.", close_matches(run, known) or "See: taxiway runs")


def _load(root: Root, run_id: str, store: Store | None) -> RunRecord:
    found = record.read(root.run(run_id))
    if found is None:
        from pipeline import retold  # its readers of artifacts cost a tenth of a second

        return retold.run(root, run_id, store)
    return died(found) if found.state == "running" and not alive(found) else found


def alive(run: RunRecord) -> bool:
    """Whether the process that began the run still exists; a process id alone is used again by others."""
    if run.process is None:
        return False
    pid, started = run.process
    with contextlib.suppress(psutil.Error):
        return abs(psutil.Process(pid).create_time() - started) < CLOCK_TOLERANCE_SECONDS
    return False


def died(run: RunRecord) -> RunRecord:
    """The record of a run whose process is gone without a word."""
    nodes = [n.model_copy(update={"state": "interrupted"}) if n.state == "running" else n for n in run.nodes]
    where = next((f" in {node.node}" for node in nodes if node.state == "interrupted"), "")
    changes = {"state": "interrupted", "nodes": tuple(nodes), "reason": f"the process ended without a word{where}"}
    return run.model_copy(update=changes)


def artifacts(root: Root, run: RunRecord) -> list[dict[str, Any]]:
    """What the run's nodes wrote or took from the cache: node, output, type, id, URI."""
    store = _store(root)
    known = {execution.id for execution in store.executions(run.run_id)} if store else set()  # not another store's ids
    nodes = {node.execution_id: node.node for node in run.nodes if node.execution_id in known}
    return [
        {"node": nodes[execution], "output": a.key, "type": a.type, "id": a.id, "uri": a.uri, "state": a.state}
        for execution, written in (store.outputs_of(list(nodes)) if store else {}).items()
        for a in written
    ]


def artifacts_table(found: Iterable[dict[str, Any]], root: Root) -> Table:
    """The artifacts as a table; what lies under the root is named from there."""
    rows = [
        (each["node"], each["output"], each["type"], each["id"], output.plain_lines(_below(each, root)))
        for each in found
    ]
    return output.table("Artifacts", ("node", "output", "type", "id", "where"), rows, right=("id",))


def _below(artifact: dict[str, Any], root: Root) -> str:
    place = str(artifact["uri"]).removeprefix(f"{root.path}/")
    return place if artifact["state"] == "LIVE" else f"{place} ({artifact['state'].lower()})"


def runs_table(found: Iterable[RunRecord]) -> Table:
    """The runs as a table."""
    from pipeline.summary import COLOURS

    columns = ("run", "state", "began", "time", "gates", "metric", "variant", "version", "why")
    rows = [
        (
            output.plain(short(run.run_id)),
            f"[{COLOURS[run.state]}]{run.state}[/]",
            output.moment(run.started),
            output.seconds(run.seconds),
            _gates(run),
            _metric(run),
            next((output.plain(variant.variant) for variant in run.variants if variant.chosen), None),
            run.push.version if run.push and run.push.pushed else None,
            output.plain_lines(_short(run.reason)),
        )
        for run in found
    ]
    return output.table("", columns, rows, right=("time",))


def short(run_id: str) -> str:
    """So much of a run's id as a line has room for: every command takes the start of one."""
    return run_id if len(run_id) <= ID_WIDTH else run_id[:ID_SHOWN]


def _short(reason: str) -> str:
    """What fits a line; `show` has the whole."""
    first = reason.splitlines()[0] if reason else ""
    return first if len(first) <= REASON_WIDTH else f"{first[: REASON_WIDTH - 1]}…"


def _gates(run: RunRecord) -> str | None:
    """How many of the gates that it came to it passed."""
    passed = sum(gate.passed for gate in run.gates)
    return f"{passed} of {len(run.gates)}" if run.gates else None


def _metric(run: RunRecord) -> str | None:
    value = run.main_value()
    return None if value is None else f"{run.main_metric} {value:.4f}"
