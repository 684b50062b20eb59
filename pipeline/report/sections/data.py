"""The data: rows, distributions, missing values, anomalies, drift; the schema and its changes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taxiway.components.contract import SPLITS
from taxiway.components.files.versioned_report import GATE_VERDICT, INGEST_NOTES
from taxiway.pipeline.report import statistics, words
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section, format_report_value
from taxiway.pipeline.tracking.nested_settings import list_changes

MOST_COLUMNS, MOST_MOVED, TOP_VALUES, LONGEST_TEXT = 60, 12, 8, 200
SPAN = "{SPAN"
"""In `data.path`: there are spans."""


@dataclass(frozen=True)
class ColumnRoles:
    """What the configuration says of columns.

    Attributes:
        label: The label's column.
        unused: Columns that the model does not see, with the reason.
        codes: Whole numbers that are names.
        times: Columns of times.
    """

    label: str = ""
    unused: Mapping[str, str] = field(default_factory=dict)
    codes: frozenset[str] = frozenset()
    times: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ColumnRoles:
        features, data = config.get("features") or {}, config.get("data") or {}
        typed = {name for name, kind in (data.get("types") or {}).items() if str(kind).startswith("time")}
        return cls(
            label=str((config.get("label") or {}).get("column", "")),
            unused=dict(features.get("leave_out") or {}),
            codes=frozenset(features.get("categorical") or ()),
            times=frozenset({*typed, *(features.get("calendar") or {})}),
        )

    def rank(self, column: str) -> int:
        """The label first, what is not used last."""
        return 0 if column == self.label else 2 if column in self.unused else 1


def describe_data(run_data: RunData, previous: RunData | None) -> Section:
    """Rows by split and span, distributions, missing values, anomalies, and what moved since the run before."""
    if not run_data.statistics:
        return None
    ingest = run_data.read_json(INGEST_NOTES, "ExampleGen", "examples", "ingest.json")
    examples = run_data.outputs.get(("ExampleGen", "examples"))
    verdict = run_data.read_json(GATE_VERDICT, "DataGate", "verdict", "verdict.json")
    previous = previous if previous and not previous.has_same_data(run_data) else None
    moved = run_data.list_drift(previous)[:MOST_MOVED] if previous else []
    return {
        "splits": count_split_rows(run_data),
        "span": _find_span(run_data.config, examples.properties.get("span") if examples else None),
        "fingerprint": examples.properties.get("input_fingerprint", "") if examples else "",
        "files": ingest.get("files", []),
        "counts": [
            (name.replace("_", " "), format_report_value(count)) for name, count in ingest.get("rows", {}).items()
        ],
        **_describe_columns(
            run_data.statistics, previous.statistics if previous else {}, ColumnRoles.of(run_data.config)
        ),
        "findings": verdict.get("findings", []),
        "previous": previous.run.run_id if previous else "",
        "drift": [{"split": s, "column": c, "moved": f"{m:.4f}", "measure": w} for s, c, m, w in moved],
    }


def _find_span(config: Mapping[str, Any], span: Any) -> Any:
    """The span of the data; None where the data have none: ExampleGen then calls them 0."""
    path = (config.get("data") or {}).get("path")
    return span if (SPAN in str(path) if path else span) else None


def count_split_rows(run_data: RunData) -> list[tuple[str, int]]:
    """The rows of each split, train first: of those without statistics, which is `test`, as ExampleGen counted them."""
    rows = run_data.read_json(INGEST_NOTES, "ExampleGen", "examples", "ingest.json").get("rows", {})
    counted = {name: rows[name] for name in SPLITS if name in rows}
    counted |= {name: split.rows for name, split in run_data.statistics.items()}
    order = {name: place for place, name in enumerate(SPLITS)}
    return sorted(counted.items(), key=lambda split: order.get(split[0], len(order)))


def _describe_columns(
    splits: Mapping[str, statistics.SplitStatistics],
    previous: Mapping[str, statistics.SplitStatistics],
    roles: ColumnRoles,
) -> dict[str, Any]:
    """The columns: the first ones that are shown at once, the others on demand."""
    train = splits.get("train") or next(iter(splits.values()))
    evaluation = splits.get("eval", statistics.SplitStatistics(0, {}))
    before = previous.get("train", statistics.SplitStatistics(0, {}))
    described = [
        _try_describe_column(train.columns[name], evaluation.columns.get(name), before.columns.get(name), roles)
        for name in sorted(train.columns, key=roles.rank)
    ]
    return {"columns": described[:MOST_COLUMNS], "more_columns": described[MOST_COLUMNS:]}


def _try_describe_column(
    train: statistics.ColumnStatistics,
    other: statistics.ColumnStatistics | None,
    before: statistics.ColumnStatistics | None,
    roles: ColumnRoles,
) -> dict[str, Any]:
    """A column; where its values cannot be drawn, the error in place of its facts."""
    own = {
        "name": train.name,
        "kind": words.name_key(train.kind),
        "is_label": train.name == roles.label,
        "unused": roles.unused.get(train.name) or ("left out" if train.name in roles.unused else ""),
    }
    try:
        if train.trouble:
            raise ValueError(train.trouble)
        return {**own, **_describe_column(train, other, before, roles)}
    except statistics.ODD as error:
        facts = f"cannot be shown: {statistics.format_error_line(error)}"
        return {**own, "facts": facts, "missing": {}, "values": [], "bins": {}, "axis": ()}


def _describe_column(
    train: statistics.ColumnStatistics,
    other: statistics.ColumnStatistics | None,
    before: statistics.ColumnStatistics | None,
    roles: ColumnRoles,
) -> dict[str, Any]:
    sides = {"train": train, "eval": other, "before": before}
    columns = {name: column for name, column in sides.items() if column}
    scale = _find_time_scale(train, roles)
    return {
        "kind": "time" if scale else "code" if train.name in roles.codes else words.name_key(train.kind),
        "facts": _summarize_column(train, scale, train.name in roles.codes),
        "missing": {name: column.missing_share for name, column in columns.items()},
        "values": _list_top_values(columns) if train.values else [],
        "bins": _compute_bins(columns),
        "axis": _label_axis(train, scale),
    }


def _find_time_scale(column: statistics.ColumnStatistics, roles: ColumnRoles) -> float:
    if column.low is None or column.high is None:
        return 0.0
    return words.find_time_scale(column.name, column.low, column.high, known=column.name in roles.times)


def _summarize_column(column: statistics.ColumnStatistics, scale: float, is_code: bool) -> str:
    """The column in a few words: mean, deviation and range, or its number of distinct values."""
    if column.mean is None or column.std is None:
        return f"{column.unique:,} values" if column.unique is not None else ""
    low, high = (_format_value(end, column, scale) for end in (column.low, column.high))
    if column.low == column.high:
        return f"always {low}"
    if scale or is_code:
        return f"from {low} to {high}"
    unit = words.find_unit(column.name)
    return f"{column.mean:,.4g} ± {column.std:,.3g}{f' {unit}' if unit else ''}, from {low} to {high}"


def _label_axis(column: statistics.ColumnStatistics, scale: float) -> tuple[str, str, str]:
    """Both ends of the bars, and the unit between them."""
    edges = statistics.compute_edges(column)
    if not edges:
        return ("", "", "")
    whole = column.kind == "int" and edges[0] + 0.5 == round(edges[0] + 0.5)  # a bar a value
    low, high = (
        (edges[0] + 0.5, edges[-1] - 0.5) if whole and len(edges) <= statistics.BARS + 11 else edges[:: len(edges) - 1]
    )
    unit = "" if scale else words.find_unit(column.name)
    return _format_value(low, column, scale), unit, _format_value(high, column, scale)


def _format_value(value: float | None, column: statistics.ColumnStatistics, scale: float) -> str:
    if value is not None and scale:
        return words.format_moment(value, scale, (column.high or 0.0) - (column.low or 0.0))
    return "–" if value is None else f"{value:,.0f}" if column.kind == "int" else f"{value:,.4g}"


def _list_top_values(sides: Mapping[str, statistics.ColumnStatistics]) -> list[dict[str, Any]]:
    """The most frequent values of train, with their shares everywhere."""
    shares = {name: dict(column.values) for name, column in sides.items()}
    return [
        {"value": _truncate_text(value), **{name: shares[name].get(value, 0.0) for name in sides}}
        for value, _ in sides["train"].values[:TOP_VALUES]
    ]


def _truncate_text(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _compute_bins(sides: Mapping[str, statistics.ColumnStatistics]) -> dict[str, list[tuple[float, float, float]]]:
    """Bars as `(left, width, density)` on the range of train, which is 0 to 1; empty for what is no number."""
    edges = statistics.compute_edges(sides["train"])
    if not edges:
        return {}
    low, span = edges[0], edges[-1] - edges[0]
    steps = [((a - low) / span, (b - a) / span) for a, b in itertools.pairwise(edges)]
    return {
        name: [
            (x, width, share / width)
            for (x, width), share in zip(steps, statistics.compute_shares(side, edges), strict=True)
        ]
        for name, side in sides.items()
        if side.cdf
    }


def describe_schema(run_data: RunData, previous: RunData | None) -> Section:
    """The columns as the schema defines them, and what changed since the run before."""
    if not run_data.schema:
        return None
    changed = list_changes(previous.schema, run_data.schema) if previous and previous.schema else []
    name = previous.run.run_id if previous and previous.schema else ""
    return {"previous": name, "changes": changed, "columns": list(run_data.schema.items())}
