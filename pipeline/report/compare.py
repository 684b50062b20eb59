"""`taxiway compare A B`: what differs between two runs, read from what they left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline import history, output, record
from pipeline.layout import Root
from pipeline.report import statistics
from pipeline.report.sources import RunSources, changes, flat
from pipeline.summary import NO_CHANGE

FORMAT_VERSION = 1
SHOWN = 25
"""Rows of one table on a terminal; JSON has them all."""
Change = tuple[str, Any, Any]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side; every list holds only what differs unless it says otherwise.

    Attributes:
        before, after: Ids of the runs.
        outcome: State, reason, variant, version, seconds: all of them.
        rows: Split to its counts: all of them.
        drift: Split, column, how far it moved, by which measure; the farthest first.
        schema, parameters, code: Name, before, after.
        metrics: Evaluator, slice, metric, before, after: the candidate's, all of them.
        times: Node, seconds before and after: all of them.
    """

    before: str
    after: str
    outcome: list[Change] = field(default_factory=list)
    rows: list[Change] = field(default_factory=list)
    drift: list[tuple[str, str, float, str]] = field(default_factory=list)
    schema: list[Change] = field(default_factory=list)
    parameters: list[Change] = field(default_factory=list)
    code: list[Change] = field(default_factory=list)
    metrics: list[tuple[str, str, str, float | None, float | None]] = field(default_factory=list)
    times: list[Change] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"version": FORMAT_VERSION, **asdict(self)}


def compare(root: Root, first: str, second: str) -> Comparison:
    """Compares two runs, each named by its id or the start of it.

    Raises:
        UsageError: There is no such run.
        StoreError: `metadata.db` or a record is damaged.
    """
    old, new = RunSources.of(root, first), RunSources.of(root, second)
    before, after = _outcome(old.run), _outcome(new.run)
    return Comparison(
        before=old.run.run_id,
        after=new.run.run_id,
        outcome=[(name, value, after[name]) for name, value in before.items()],
        rows=_rows(old, new),
        drift=drift(old, new),
        schema=changes(old.schema, new.schema),
        parameters=_parameters(old.config, new.config),
        code=_code(old.code, new.code),
        metrics=_metrics(old.run, new.run),
        times=_times(old.run, new.run),
    )


def _parameters(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What differs in the sections that both know: a run without a configuration file tells those it came to."""
    both = [name for name in after if name in before]
    return changes(flat({name: before[name] for name in both}), flat({name: after[name] for name in both}))


def _code(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """What differs in the nodes that both runs came to."""
    both = [node for node in after if node in before]
    return changes({node: before[node] for node in both}, {node: after[node] for node in both})


def _outcome(run: record.RunRecord) -> dict[str, Any]:
    chosen = next((variant.variant for variant in run.variants if variant.chosen), None)
    return {
        "state": run.state,
        "reason": run.reason or None,
        "metric": None if run.main_value() is None else f"{run.main_metric} {run.main_value():.4f}",
        "variant": chosen,
        "version": run.push.version if run.push and run.push.pushed else None,
        "seconds": run.seconds,
    }


def _rows(old: RunSources, new: RunSources) -> list[Change]:
    before, after = ({name: split.rows for name, split in side.statistics.items()} for side in (old, new))
    return [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]


def drift(old: RunSources, new: RunSources) -> list[tuple[str, str, float, str]]:
    """Split, column, how far it moved, by which measure: columns of both runs that moved at all, the farthest first."""
    found = []
    for split in sorted(old.statistics.keys() & new.statistics.keys()):
        columns, others = old.statistics[split].columns, new.statistics[split].columns
        for name in sorted(columns.keys() & others.keys()):
            moved, measure = statistics.drift(columns[name], others[name])
            if moved > 0:
                found.append((split, name, moved, measure))
    return sorted(found, key=lambda each: -each[2])


def _metrics(old: record.RunRecord, new: record.RunRecord) -> list[tuple[str, str, str, float | None, float | None]]:
    before, after = _candidate(old), _candidate(new)
    return [(*key, before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def _candidate(run: record.RunRecord) -> dict[tuple[str, str, str], float | None]:
    return {
        (node, each.slice, name): value
        for node, slices in run.metrics.items()
        for each in slices
        for name, value in each.candidate.items()
    }


def _times(old: record.RunRecord, new: record.RunRecord) -> list[Change]:
    before, after = ({node.node: node for node in run.nodes} for run in (old, new))
    names = dict.fromkeys([*before, *after])
    return [(name, _time(before.get(name)), _time(after.get(name))) for name in names]


def _time(node: record.NodeRecord | None) -> float | str | None:
    """Seconds, or the state of a node that did not work."""
    if node is None:
        return None
    return node.seconds if node.state == "done" else node.state


# ---- on a terminal ----


def rendered(comparison: Comparison) -> RenderableType:
    """The comparison as tables; empty ones become one line that says that nothing differs."""
    same, parts = [], []
    for title in ("outcome", "rows", "schema", "parameters", "code", "times"):
        rows = getattr(comparison, title)
        parts.append(_table(title, comparison, rows)) if rows else same.append(title)
    moved = [
        (split, output.plain(name), f"{value:.4f}", measure) for split, name, value, measure in comparison.drift[:SHOWN]
    ]
    named = ("split", "column", "moved", "measure")
    parts.append(output.table("drift", named, moved, right=("moved",))) if moved else same.append("statistics")
    metrics = [_metric(row) for row in sorted(comparison.metrics, key=_importance)[:SHOWN]]
    columns = ("evaluator", "slice", "metric", *_names(comparison), "change")
    parts.append(output.table("metrics", columns, metrics, right=columns[3:])) if metrics else same.append("metrics")
    spaced = [part for each in parts for part in (each, Text(""))]
    return Group(*spaced, Text(f"The same in both: {', '.join(same)}." if same else ""))


def _table(title: str, comparison: Comparison, rows: list[Change]) -> RenderableType:
    show = {"code": _digest, "times": _seconds}.get(title, _text)
    shown = [
        (output.plain(name), *map(_seconds if name == "seconds" else show, sides)) for name, *sides in rows[:SHOWN]
    ]
    if len(rows) > SHOWN:
        shown.append((f"and {len(rows) - SHOWN} more", "see --json", ""))
    return output.table(title, ("", *_names(comparison)), shown)


def _names(comparison: Comparison) -> tuple[str, str]:
    return history.short(comparison.before), history.short(comparison.after)


def _metric(row: tuple[str, str, str, float | None, float | None]) -> tuple[str, ...]:
    evaluator, slice_name, name, before, after = row
    change = None if before is None or after is None else after - before
    words = "–" if change is None else "0" if abs(change) < NO_CHANGE else f"{change:+.4f}"
    return evaluator, output.plain(slice_name), output.plain(name), output.number(before), output.number(after), words


def _importance(row: tuple[str, str, str, float | None, float | None]) -> tuple[bool, bool, float]:
    """The whole split first, then what changed most; what only one of the runs has comes last."""
    _, slice_name, _, before, after = row
    if before is None or after is None:
        return slice_name != record.OVERALL, True, 0.0
    return slice_name != record.OVERALL, False, -abs(after - before)


def _digest(value: Any) -> str:
    return "–" if value is None else f"{str(value)[:12]}…"


def _seconds(value: Any) -> str:
    return output.seconds(value) if isinstance(value, (int, float)) else _text(value)


def _text(value: Any) -> str:
    text = "–" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
    return output.plain(text if len(text) <= 160 else text[:159] + "…")
