"""Runs and their artifacts as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from taxiway.pipeline.console import printing
from taxiway.pipeline.console.summary import COLOURS
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import RunRecord

REASON_WIDTH = 60
ID_WIDTH, ID_SHOWN = 24, 13
"""Longer ids, such as those of a cluster, are cut in a list."""


def make_artifacts_table(artifacts: Iterable[dict[str, Any]], root: Root) -> Table:
    """The artifacts as a table; what lies under the root is named from there."""
    rows = [
        (each["node"], each["output"], each["type"], each["id"], printing.escape_lines(_shorten_uri(each, root)))
        for each in artifacts
    ]
    return printing.make_table("Artifacts", ("node", "output", "type", "id", "where"), rows, right=("id",))


def _shorten_uri(artifact: dict[str, Any], root: Root) -> str:
    place = str(artifact["uri"]).removeprefix(f"{root.path}/")
    return place if artifact["state"] == "LIVE" else f"{place} ({artifact['state'].lower()})"


def make_runs_table(records: Iterable[RunRecord]) -> Table:
    """The runs as a table."""
    columns = ("run", "state", "began", "time", "gates", "metric", "variant", "version", "why")
    rows = [
        (
            printing.escape_markup(shorten_id(run.run_id)),
            f"[{COLOURS[run.state]}]{run.state}[/]",
            printing.format_time(run.started),
            printing.format_seconds(run.seconds),
            count_gates(run),
            format_main_metric(run),
            next((printing.escape_markup(variant.variant) for variant in run.variants if variant.chosen), None),
            run.push.version if run.push and run.push.pushed else None,
            printing.escape_lines(_shorten_reason(run.reason)),
        )
        for run in records
    ]
    return printing.make_table("", columns, rows, right=("time",))


def shorten_id(run_id: str) -> str:
    """So much of a run's id as a line has room for: every command takes the start of one."""
    return run_id if len(run_id) <= ID_WIDTH else run_id[:ID_SHOWN]


def _shorten_reason(reason: str) -> str:
    """What fits a line; `show` has the whole."""
    first = reason.splitlines()[0] if reason else ""
    return first if len(first) <= REASON_WIDTH else f"{first[: REASON_WIDTH - 1]}…"


def count_gates(run: RunRecord) -> str | None:
    """How many of the gates that it came to it passed."""
    passed = sum(gate.passed for gate in run.gates)
    return f"{passed} of {len(run.gates)}" if run.gates else None


def format_main_metric(run: RunRecord) -> str | None:
    value = run.main_value()
    return None if value is None else f"{run.main_metric} {value:.4f}"


def print_unread(records: Iterable[RunRecord]) -> None:
    """Says to standard error which results in object stores were not read, and why; each reason once."""
    runs_by_reason: dict[str, list[str]] = {}
    for run in records:
        if run.unread:
            runs_by_reason.setdefault(run.unread, []).append(shorten_id(run.run_id))
    for reason, run_ids in runs_by_reason.items():
        text = f"Results of {', '.join(run_ids)} were not read: {reason}"
        printing.make_console(stderr=True).print(printing.escape_lines(text))
