"""What ran under a root: the summaries that runs left, and ML Metadata for runs that other tools started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import psutil
from rich.markup import escape
from rich.table import Table

from components.errors import UsageError, close_matches
from pipeline import output, record
from pipeline.layout import Root
from pipeline.record import NodeRecord, NodeState, RunRecord, RunState
from pipeline.store import ExecutionRecord, Store

CLOCK_TOLERANCE_SECONDS = 2.0
"""By so much a process's start may differ between two readings."""

REASON_WIDTH = 90

_NODE_STATES: dict[str, NodeState] = {
    "COMPLETE": "done",
    "CACHED": "cached",
    "FAILED": "failed",
    "CANCELED": "interrupted",
    "RUNNING": "running",
    "NEW": "running",
}


def runs(root: Root, limit: int | None = None) -> list[RunRecord]:
    """The runs, newest first.

    Raises:
        UsageError: There is no root.
        StoreError: A summary or `metadata.db` is damaged.
    """
    return [_load(root, run_id) for run_id in run_ids(root)[:limit]]


def run_ids(root: Root) -> list[str]:
    """Ids of the runs, newest first.

    Raises:
        UsageError: There is no root.
        StoreError: `metadata.db` is damaged.
    """
    if not root.path.is_dir():
        raise UsageError(f"There is no root {root.path}.", "Name the --root of a run, or make one with: taxiway run")
    folders = {path.name for path in root.runs.iterdir() if path.is_dir()} if root.runs.is_dir() else set()
    times = Store(root.metadata).run_times() if root.metadata.exists() else {}
    began = {**{name: times.get(name) or _folder_time(root, name) for name in folders}, **times}
    return sorted(began, key=lambda name: (began[name], name), reverse=True)


def _folder_time(root: Root, name: str) -> float:
    """When a run that left nothing else began; 0 where there is no folder either."""
    folder = root.run(name)
    return folder.stat().st_mtime if folder.exists() else 0.0


def find(root: Root, run: str | None) -> RunRecord:
    """One run by its id or the start of it; the newest where None.

    Raises:
        UsageError: There is none, or several begin so.
    """
    known = run_ids(root)
    if not known:
        raise UsageError(f"Nothing has run under {root.path} yet.", "Make a run with: taxiway run")
    if run is None:
        return _load(root, known[0])
    matches = [name for name in known if name == run] or [name for name in known if name.startswith(run)]
    if len(matches) == 1:
        return _load(root, matches[0])
    if matches:
        raise UsageError(f"{len(matches)} runs begin with {run!r}: {', '.join(matches[:5])}.", "Give more of the id.")
    raise UsageError(f"There is no run {run!r} under {root.path}.", close_matches(run, known) or "See: taxiway runs")


def _load(root: Root, run_id: str) -> RunRecord:
    found = record.read(root.run(run_id))
    if found is None:
        return _from_store(root, run_id)
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


def _from_store(root: Root, run_id: str) -> RunRecord:
    """A run that left no summary: of another tool, or from before its first word."""
    executions = Store(root.metadata).executions(run_id) if root.metadata.exists() else []
    nodes = tuple(_node(execution) for execution in executions)
    return RunRecord(
        run_id=run_id,
        state=_run_state({node.state for node in nodes}),
        orchestrator="",
        reason="" if nodes else "it ended before its first node",
        started=executions[0].started if executions else _folder_time(root, run_id),
        ended=max((execution.ended for execution in executions), default=None),
        nodes=nodes,
    )


def _run_state(nodes: set[NodeState]) -> RunState:
    if "failed" in nodes:
        return "failed"
    return "interrupted" if not nodes or nodes & {"running", "interrupted"} else "done"


def _node(execution: ExecutionRecord) -> NodeRecord:
    return NodeRecord(
        node=execution.node,
        state=_NODE_STATES.get(execution.state, "interrupted"),
        seconds=round(execution.seconds, 3),
        execution_id=execution.id,
        started=execution.started,
    )


def artifacts(root: Root, run: RunRecord) -> list[dict[str, Any]]:
    """What the run's nodes wrote or took from the cache: node, output, type, id, URI."""
    if not root.metadata.exists():
        return []
    store = Store(root.metadata)
    return [
        {"node": node.node, "output": each.key, "type": each.type, "id": each.id, "uri": each.uri, "state": each.state}
        for node in run.nodes
        if node.execution_id
        for each in store.outputs(node.execution_id)
    ]


def artifacts_table(found: Iterable[dict[str, Any]]) -> Table:
    """The artifacts as a table."""
    rows = [(each["node"], each["output"], each["type"], each["id"], escape(each["uri"])) for each in found]
    return output.table("Artifacts", ("node", "output", "type", "id", "where"), rows, right=("id",))


def runs_table(found: Iterable[RunRecord]) -> Table:
    """The runs as a table."""
    from pipeline.summary import COLOURS

    columns = ("run", "state", "began", "time", "metric", "variant", "version", "why")
    rows = [
        (
            run.run_id,
            f"[{COLOURS[run.state]}]{run.state}[/]",
            output.moment(run.started),
            output.seconds(run.seconds),
            _metric(run),
            next((variant.variant for variant in run.variants if variant.chosen), None),
            run.push.version if run.push and run.push.pushed else None,
            escape(_short(run.reason)),
        )
        for run in found
    ]
    return output.table("", columns, rows, right=("time",))


def _short(reason: str) -> str:
    """What fits a line; `show` has the whole."""
    first = reason.splitlines()[0] if reason else ""
    return first if len(first) <= REASON_WIDTH else f"{first[: REASON_WIDTH - 1]}…"


def _metric(run: RunRecord) -> str | None:
    value = run.main_value()
    return None if value is None else f"{run.main_metric} {value:.4f}"
