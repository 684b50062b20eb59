"""`taxiway compare A B`: what differs between two runs, read from their records and artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from taxiway.pipeline.console import printing, run_tables
from taxiway.pipeline.console.summary import NO_CHANGE
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.nested_settings import flatten_settings, list_changes

FORMAT_VERSION = 1
SHOWN = 25
"""Rows of one table on a terminal; JSON has them all."""
Change = tuple[str, Any, Any]


@dataclass(frozen=True)
class RunComparison:
    """Two runs side by side. The lists hold what differs; those marked `all` hold every entry.

    Attributes:
        before, after: Ids of the runs.
        outcome: State, reason, metric, variant, version and seconds: all.
        rows: Split, rows before, rows after: all.
        drift: Split, column, how far it moved, by which measure; the farthest first.
        schema, parameters, code: Name, before, after.
        environment: Name, before, after, of versions and platform; None where neither run recorded them.
        metrics: Evaluator, slice, metric, the candidate's value before and after: all.
        times: Node, seconds before and after: all.
        not_recorded: Of `environment`, `parameters`, `code`, `schema` and `statistics` those of which a run has no
            record, with its id: nothing is known of what differs in them.
    """

    before: str
    after: str
    outcome: list[Change] = field(default_factory=list)
    rows: list[Change] = field(default_factory=list)
    drift: list[tuple[str, str, float, str]] = field(default_factory=list)
    schema: list[Change] = field(default_factory=list)
    parameters: list[Change] = field(default_factory=list)
    code: list[Change] = field(default_factory=list)
    environment: list[Change] | None = None
    metrics: list[tuple[str, str, str, float | None, float | None]] = field(default_factory=list)
    times: list[Change] = field(default_factory=list)
    not_recorded: dict[str, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"version": FORMAT_VERSION, **asdict(self)}


def compare_runs(root: Root, first: str, second: str) -> RunComparison:
    """Compares two runs, each named by its id or the start of it.

    Raises:
        UsageError: There is no such run.
        StoreError: `metadata.db` or a record is damaged.
    """
    return compare_opened(RunData.open_run(root, first), RunData.open_run(root, second))


def compare_opened(old: RunData, new: RunData) -> RunComparison:
    """Compares two runs that are open already."""
    before, after = _summarize_outcome(old.run), _summarize_outcome(new.run)
    return RunComparison(
        before=old.run.run_id,
        after=new.run.run_id,
        outcome=[(name, value, after[name]) for name, value in before.items()],
        rows=_compare_rows(old, new),
        drift=new.list_drift(old),
        schema=list_changes(old.schema, new.schema),
        parameters=_compare_parameters(old.config, new.config),
        code=_compare_code(old.code, new.code),
        environment=_compare_environments(old.run.environment, new.run.environment),
        metrics=_compare_metrics(old.run, new.run),
        times=_compare_times(old.run, new.run),
        not_recorded=list_not_recorded((old, new)),
    )


def list_not_recorded(runs: Iterable[RunData]) -> dict[str, list[str]]:
    """Of what the runs were made with and read: that of which a run has no record, with the ids of such runs."""
    missing: dict[str, list[str]] = {}
    for each in runs:
        records = {
            "environment": each.run.environment,
            "parameters": each.config,
            "code": each.code,
            "schema": each.schema,
            "statistics": each.statistics,
        }
        for title in (title for title, record in records.items() if not record):
            missing[title] = list(dict.fromkeys([*missing.get(title, ()), each.run.run_id]))
    return missing


def _compare_parameters(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What differs in the sections that both have: a run without its file has those of its executions only."""
    both = [name for name in after if name in before]
    return list_changes(
        flatten_settings({name: before[name] for name in both}), flatten_settings({name: after[name] for name in both})
    )


def _compare_code(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """What differs in the nodes that both runs executed."""
    both = [node for node in after if node in before]
    return list_changes({node: before[node] for node in both}, {node: after[node] for node in both})


def _compare_environments(
    before: run_record.RunEnvironment | None, after: run_record.RunEnvironment | None
) -> list[Change] | None:
    if before is None and after is None:
        return None
    return list_changes(*(side.to_table() if side else {} for side in (before, after)))


def _summarize_outcome(run: run_record.RunRecord) -> dict[str, Any]:
    chosen = next((variant.variant for variant in run.variants if variant.chosen), None)
    return {
        "state": run.state,
        "reason": run.reason or None,
        "metric": None if run.main_value() is None else f"{run.main_metric} {run.main_value():.4f}",
        "variant": chosen,
        "version": run.push.version if run.push and run.push.pushed else None,
        "seconds": run.seconds,
    }


def _compare_rows(old: RunData, new: RunData) -> list[Change]:
    before, after = ({name: split.rows for name, split in side.statistics.items()} for side in (old, new))
    return [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]


def _compare_metrics(
    old: run_record.RunRecord, new: run_record.RunRecord
) -> list[tuple[str, str, str, float | None, float | None]]:
    before, after = _list_candidate_metrics(old), _list_candidate_metrics(new)
    return [(*key, before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def _list_candidate_metrics(run: run_record.RunRecord) -> dict[tuple[str, str, str], float | None]:
    return {
        (node, each.slice, name): value
        for node, slices in run.metrics.items()
        for each in slices
        for name, value in each.candidate.items()
    }


def _compare_times(old: run_record.RunRecord, new: run_record.RunRecord) -> list[Change]:
    before, after = ({node.node: node for node in run.nodes} for run in (old, new))
    names = dict.fromkeys([*before, *after])
    return [(name, _describe_time(before.get(name)), _describe_time(after.get(name))) for name in names]


def _describe_time(node: run_record.NodeRecord | None) -> float | str | None:
    """Seconds, or the state of a node that did not run to its end."""
    if node is None:
        return None
    return node.seconds if node.state == "done" else node.state


# ---- on a terminal ----


def render_comparison(comparison: RunComparison) -> RenderableType:
    """The comparison as tables, and one line that names those in which nothing differs."""
    same, parts = [], []
    for title in ("outcome", "rows", "schema", "parameters", "code", "environment", "times"):
        rows = getattr(comparison, title)
        if rows:
            parts.append(_render_table(title, comparison, rows))
        elif rows is not None:
            same.append(title)
    moved = [
        (split, printing.escape_markup(name), f"{value:.4f}", measure)
        for split, name, value, measure in comparison.drift
    ]
    named = ("split", "column", "moved", "measure")
    parts.append(_cut_table("drift", named, moved, right=("moved",))) if moved else same.append("statistics")
    metrics = [_format_metric(row) for row in sorted(comparison.metrics, key=_rank_metric)]
    columns = ("evaluator", "slice", "metric", *_shorten_ids(comparison), "change")
    parts.append(_cut_table("metrics", columns, metrics, right=columns[3:])) if metrics else same.append("metrics")
    spaced = [part for each in parts for part in (each, Text(""))]
    known = [title for title in same if title not in comparison.not_recorded]
    lines = [f"The same in both: {', '.join(known)}."] if known else []
    lines += [f"Not recorded: {title}, by {' and '.join(runs)}." for title, runs in comparison.not_recorded.items()]
    return Group(*spaced, *map(Text, lines))


def _cut_table(
    title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[str, ...]
) -> RenderableType:
    """A table of the first rows, which says how many there are in all."""
    shown = list(rows[:SHOWN])
    if len(rows) > SHOWN:
        shown.append((f"and {len(rows) - SHOWN} more", "see --json", *[""] * (len(columns) - 2)))
    return printing.make_table(title, columns, shown, right=right)


def _render_table(title: str, comparison: RunComparison, rows: list[Change]) -> RenderableType:
    show = {"code": _format_digest, "times": _format_duration}.get(title, _format_compared_value)
    shown = [
        (printing.escape_markup(name), *map(_format_duration if name == "seconds" else show, sides))
        for name, *sides in sorted(rows, key=lambda row: _ranks_last(title, row))[:SHOWN]
    ]
    if len(rows) > SHOWN:
        shown.append((f"and {len(rows) - SHOWN} more", "see --json", ""))
    return printing.make_table(title, ("", *_shorten_ids(comparison)), shown)


def _ranks_last(title: str, row: Change) -> bool:
    """Whether only one of the runs has a parameter: the defaults of a newer version would hide what was changed."""
    return title == "parameters" and None in row[1:]


def _shorten_ids(comparison: RunComparison) -> tuple[str, str]:
    return run_tables.shorten_id(comparison.before), run_tables.shorten_id(comparison.after)


def _format_metric(row: tuple[str, str, str, float | None, float | None]) -> tuple[str, ...]:
    evaluator, slice_name, name, before, after = row
    change = None if before is None or after is None else after - before
    words = "–" if change is None else "0" if abs(change) < NO_CHANGE else f"{change:+.4f}"
    return (
        evaluator,
        printing.escape_markup(slice_name),
        printing.escape_markup(name),
        printing.format_number(before),
        printing.format_number(after),
        words,
    )


def _rank_metric(row: tuple[str, str, str, float | None, float | None]) -> tuple[bool, bool, float]:
    """The whole split first, then what changed most; what only one of the runs has comes last."""
    _, slice_name, _, before, after = row
    if before is None or after is None:
        return slice_name != run_record.OVERALL, True, 0.0
    return slice_name != run_record.OVERALL, False, -abs(after - before)


def _format_digest(value: Any) -> str:
    return "–" if value is None else f"{str(value)[:12]}…"


def _format_duration(value: Any) -> str:
    return printing.format_seconds(value) if isinstance(value, (int, float)) else _format_compared_value(value)


def _format_compared_value(value: Any) -> str:
    text = "–" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
    return printing.escape_markup(text if len(text) <= 160 else text[:159] + "…")
