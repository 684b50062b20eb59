"""Two to five runs side by side: what `taxiway compare` says of the first and each of the others, as columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from taxiway.pipeline.console import printing
from taxiway.pipeline.report.compare import RunComparison, compare_opened, list_not_recorded
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import OVERALL

TITLES = ("outcome", "parameters", "rows", "schema", "code", "environment", "times")
CHANGED = ("parameters", "schema", "code", "environment")
"""Lists that hold what differs and nothing else."""
RECORD_OF = {"rows": "statistics"}
"""The record that a table is read from, where it has another name."""
NOT_RECORDED = "not recorded"
Row = tuple[str, list[Any]]


@dataclass(frozen=True)
class Comparison:
    """Tables with a column a run.

    Attributes:
        runs: Ids, in the order of the columns.
        tables: Title and rows (name, a value a run) of what differs; times and outcome with all their rows.
        metrics: Evaluator, slice, metric, a value a run; those of the whole split first.
        drift: By run, all columns that moved from the first run's: split, column, how far, by which measure; the
            farthest first.
        same: Titles of what every run has recorded and in which nothing differs.
        not_recorded: Title and ids of runs that have no record of it.
    """

    runs: list[str]
    tables: list[tuple[str, list[Row]]]
    metrics: list[tuple[str, str, str, list[float | None]]]
    drift: list[tuple[str, list[tuple[str, str, str, str]]]]
    same: list[str]
    not_recorded: dict[str, list[str]]


def compare_several(root: Root, names: Sequence[str]) -> Comparison:
    """Compares runs with the first of them.

    Raises:
        UsageError: There is no such run.
        StoreError: `metadata.db` or a record is damaged.
    """
    opened = [RunData.open_run(root, name) for name in names]
    runs, not_recorded = [each.run.run_id for each in opened], list_not_recorded(opened)
    pairs = [compare_opened(opened[0], other) for other in opened[1:]]
    merged = {title: merge_rows(pairs, title) for title in TITLES}
    missing = {title: [run in not_recorded.get(RECORD_OF.get(title, title), ()) for run in runs] for title in TITLES}
    drift = [
        (pair.after, [(split, name, f"{moved:.4f}", how) for split, name, moved, how in pair.drift]) for pair in pairs
    ]
    unchanged = [title for title in CHANGED if not merged[title]]
    unchanged += [] if any(moved for _, moved in drift) else ["statistics"]
    return Comparison(
        runs=runs,
        tables=[(title, _format_rows(title, rows, missing[title])) for title, rows in merged.items() if rows],
        metrics=sorted(_merge_metrics(pairs), key=_rank_metric),
        drift=[(run, moved) for run, moved in drift if moved],
        same=[title for title in unchanged if title not in not_recorded],
        not_recorded=not_recorded,
    )


def _format_rows(title: str, rows: Sequence[Row], missing: Sequence[bool]) -> list[Row]:
    """Cells as texts. A run without the record that a table is read from has not the first run's value, but none."""
    return [
        (
            name,
            [
                NOT_RECORDED if lacks else _format_value(title, name, value)
                for value, lacks in zip(cells, missing, strict=True)
            ],
        )
        for name, cells in rows
    ]


def merge_rows(pairs: Sequence[RunComparison], title: str) -> list[Row]:
    """The rows of one list of all pairs, a value a run. A pair that does not name a row has the first run's value."""
    lists = [{name: sides for name, *sides in getattr(pair, title) or ()} for pair in pairs]
    names = dict.fromkeys(name for each in lists for name in each)
    rows = []
    for name in names:
        first = next(each[name][0] for each in lists if name in each)
        rows.append((name, [first, *(each[name][1] if name in each else first for each in lists)]))
    return rows


def _merge_metrics(pairs: Sequence[RunComparison]) -> list[tuple[str, str, str, list[float | None]]]:
    lists = [{row[:3]: row[3:] for row in pair.metrics} for pair in pairs]
    keys = dict.fromkeys(key for each in lists for key in each)
    merged = []
    for key in keys:
        first = next(each[key][0] for each in lists if key in each)
        merged.append((*key, [first, *(each[key][1] if key in each else None for each in lists)]))
    return merged


def _rank_metric(row: tuple[str, str, str, list[float | None]]) -> tuple[bool, float]:
    """The whole split first, then what differs most."""
    known = [value for value in row[3] if value is not None]
    return row[1] != OVERALL, -(max(known) - min(known)) if len(known) > 1 else 0.0


def _format_value(title: str, name: str, value: Any) -> str:
    if value is None:
        return "–"
    formats: dict[str, Callable[[Any], str]] = {
        "times": _format_duration,
        "code": lambda digest: f"{str(digest)[:12]}…",
    }
    if name == "seconds":
        return _format_duration(value)
    return formats[title](value) if title in formats else f"{value:,.4g}" if isinstance(value, float) else str(value)


def _format_duration(value: Any) -> str:
    return printing.format_seconds(value) if isinstance(value, (int, float)) else str(value)
