"""The data: rows, distributions, missing values, anomalies, drift; the schema and its changes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pipeline.report import compare, statistics
from pipeline.report.sections.common import Section, short
from pipeline.report.sources import RunSources, changes

MOST_COLUMNS, TOP_VALUES, LONGEST_TEXT = 60, 8, 200


def data(sources: RunSources, previous: RunSources | None) -> Section:
    """Rows by split and span, distributions, missing values, anomalies, and what moved since the run before."""
    if not sources.statistics:
        return None
    ingest = sources.json("ExampleGen", "examples", "ingest.json")
    examples = sources.outputs.get(("ExampleGen", "examples"))
    verdict = sources.json("DataGate", "verdict", "verdict.json")
    previous = previous if previous and not previous.same_data(sources) else None  # the same rows have not moved
    moved = compare.drift(previous, sources)[:12] if previous else []
    return {
        "splits": [(name, split.rows) for name, split in sources.statistics.items()],
        "span": examples.properties.get("span") if examples else None,
        "fingerprint": examples.properties.get("input_fingerprint", "") if examples else "",
        "files": ingest.get("files", []),
        "counts": [(name.replace("_", " "), short(count)) for name, count in ingest.get("rows", {}).items()],
        "columns": _columns(sources.statistics, previous.statistics if previous else {}),
        "findings": verdict.get("findings", []),
        "previous": previous.run.run_id if previous else "",
        "drift": [{"split": s, "column": c, "moved": f"{m:.4f}", "measure": w} for s, c, m, w in moved],
    }


def _columns(splits: Mapping[str, statistics.Split], previous: Mapping[str, statistics.Split]) -> list[dict[str, Any]]:
    train = splits.get("train") or next(iter(splits.values()))
    evaluation = splits.get("eval", statistics.Split(0, {}))
    before = previous.get("train", statistics.Split(0, {}))
    names = list(train.columns)[:MOST_COLUMNS]
    return [_shown(train.columns[name], evaluation.columns.get(name), before.columns.get(name)) for name in names]


def _shown(
    train: statistics.Column, other: statistics.Column | None, before: statistics.Column | None
) -> dict[str, Any]:
    """A column; one whose values cannot be drawn says so in its place."""
    try:
        if train.trouble:
            raise ValueError(train.trouble)
        return _column(train, other, before)
    except statistics.ODD as error:
        facts = f"cannot be shown: {statistics.describe(error)}"
        return {"name": train.name, "kind": train.kind, "facts": facts, "missing": {}, "values": [], "bins": {}}


def _column(
    train: statistics.Column, other: statistics.Column | None, before: statistics.Column | None
) -> dict[str, Any]:
    sides = {"train": train, "eval": other, "before": before}
    known = {name: column for name, column in sides.items() if column}
    return {
        "name": train.name,
        "kind": train.kind,
        "facts": _column_facts(train),
        "missing": {name: column.missing_share for name, column in known.items()},
        "values": _values(known) if train.values else [],
        "bins": _bins(known),
    }


def _column_facts(column: statistics.Column) -> str:
    """In words: what a person asks of a column first."""
    if column.mean is None or column.std is None:
        return f"{column.unique:,} values" if column.unique is not None else ""
    low, high = _number(column.low, column.kind), _number(column.high, column.kind)
    if column.low == column.high:
        return f"always {low}"
    return f"{column.mean:,.4g} ± {column.std:,.3g}, from {low} to {high}"


def _number(value: float | None, kind: str) -> str:
    return "–" if value is None else f"{value:,.0f}" if kind == "int" else f"{value:,.4g}"


def _values(sides: Mapping[str, statistics.Column]) -> list[dict[str, Any]]:
    """The most frequent values of train, with their shares everywhere."""
    shares = {name: dict(column.values) for name, column in sides.items()}
    return [
        {"value": _cut(value), **{name: shares[name].get(value, 0.0) for name in sides}}
        for value, _ in sides["train"].values[:TOP_VALUES]
    ]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _bins(sides: Mapping[str, statistics.Column]) -> dict[str, list[tuple[float, float, float]]]:
    """Bars as `(left, width, density)` on the range of train, which is 0 to 1; empty for what is no number."""
    edges = statistics.edges(sides["train"])
    if not edges:
        return {}
    low, span = edges[0], edges[-1] - edges[0]
    steps = [((a - low) / span, (b - a) / span) for a, b in itertools.pairwise(edges)]
    return {
        name: [
            (x, width, share / width) for (x, width), share in zip(steps, statistics.shares(side, edges), strict=True)
        ]
        for name, side in sides.items()
        if side.cdf
    }


def schema(sources: RunSources, previous: RunSources | None) -> Section:
    """The columns as the schema defines them, and what changed since the run before."""
    if not sources.schema:
        return None
    changed = changes(previous.schema, sources.schema) if previous and previous.schema else []
    name = previous.run.run_id if previous and previous.schema else ""
    return {"previous": name, "changes": changed, "columns": list(sources.schema.items())}
