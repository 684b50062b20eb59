"""Partial dependence: the mean answer where every row holds the same value in one column (Friedman, 2001).

As `sklearn.inspection.partial_dependence` with `method="brute"`, on our own values: quantiles of a column of numbers,
the most frequent words of a column of text, and a missing value where rows have one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from taxiway.components.explanation.rows import RawRows, make_entry, to_objects
from taxiway.components.explanation.scored_model import Deadline, ScoredModel
from taxiway.components.metrics.curve_areas import Floats

NUMBER_POINTS, WORD_POINTS = 12, 10
OUTER_SHARE = 0.05
"""Of the values at either end of a column of numbers, beyond which few rows tell anything."""


@dataclass(frozen=True)
class DependencePoint:
    """The mean answer at one value.

    Attributes:
        value: Text, int or float; None: the value is missing.
        share: Share of the rows that hold this value; of a column of many numbers None.
        mean: Mean score over the rows, one a class.
    """

    value: Any
    share: float | None
    mean: Sequence[float]


@dataclass(frozen=True)
class ColumnDependence:
    """The partial dependence on one column.

    Attributes:
        column: The column.
        is_number: Whether its values are numbers, in ascending order.
        points: One a value.
    """

    column: str
    is_number: bool
    points: Sequence[DependencePoint]


def measure_dependence(
    model: ScoredModel, rows: RawRows, columns: Sequence[str], deadline: Deadline
) -> list[ColumnDependence]:
    """The dependence on each column, in their order; columns are left out once the time is over.

    Args:
        model: The model.
        rows: Rows over which the answers are averaged.
        columns: Columns that are set to values.
        deadline: When to stop.
    """
    measured = []
    for column in columns:
        if deadline.is_past():
            break
        values = rows.decode(column)
        points = choose_values(values)
        scores = [_average_scores(model, rows, column, value) for value, _ in points]
        is_number = all(not isinstance(value, str) for value, _ in points)
        made = [DependencePoint(value, share, list(mean)) for (value, share), mean in zip(points, scores, strict=True)]
        measured.append(ColumnDependence(column, is_number, made))
    return measured


def _average_scores(model: ScoredModel, rows: RawRows, column: str, value: Any) -> Floats:
    entries = to_objects([make_entry(column, value)] * len(rows))
    return model.score_rows(rows.encode({column: entries})).mean(axis=0)


def choose_values(values: Sequence[Any]) -> list[tuple[Any, float | None]]:
    """The values at which a column is set, with the share of the rows that hold each where they are few.

    Args:
        values: What the rows hold: text or numbers, None where a value is missing.
    """
    counts = Counter(values)
    missing = counts.pop(None, 0)
    end: list[tuple[Any, float | None]] = [(None, missing / len(values))] if missing else []
    if any(isinstance(value, str) for value in counts):
        return [(value, count / len(values)) for value, count in counts.most_common(WORD_POINTS)] + end
    if len(counts) <= NUMBER_POINTS:
        return [(value, counts[value] / len(values)) for value in sorted(counts)] + end
    return [(value, None) for value in _choose_quantiles([each for each in values if each is not None])] + end


def _choose_quantiles(numbers: Sequence[float]) -> list[float]:
    """Values that occur, at evenly spaced quantiles between the outer ones; each once."""
    shares = np.linspace(OUTER_SHARE, 1 - OUTER_SHARE, NUMBER_POINTS)
    # `lower`: a whole number stays one, and no value is made up.
    chosen = np.quantile(np.array(numbers), shares, method="lower")
    return [value.item() for value in np.unique(chosen)]
