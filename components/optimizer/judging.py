"""From scores and labels to the quality part of the report. Plain numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract import Task
from components.optimizer.config import OptimizationConfig
from components.optimizer.quality import Comparison, Floats, Interval, compare, decisions
from components.optimizer.report import Estimate, OutputError, Quality, SliceQuality

MAX_SLICE_RESAMPLES = 200


def estimate(interval: Interval) -> Estimate:
    """The report's form of an interval; what is not finite is None."""
    return Estimate(value=_finite(interval.value), low=_finite(interval.low), high=_finite(interval.high))


def quality(
    metric: str,
    labels: Floats,
    scores: Floats,
    reference: Floats,
    slices: Sequence[tuple[str, str, NDArray[np.bool_]]],
    config: OptimizationConfig,
) -> Quality:
    """Quality on all rows and in every slice, against the reference's scores of the same rows.

    Args:
        metric: The metric that must be kept.
        labels: `[rows]`.
        scores: `[rows, 1]` or `[rows, classes]`.
        reference: Of the same shape.
        slices: Column, value and member rows, as `slices_of` gives them.
        config: Resamples and seed.
    """
    whole = compare(metric, labels, scores, reference, config.bootstrap_samples, config.seed)
    resamples = min(config.bootstrap_samples, MAX_SLICE_RESAMPLES)
    parts = []
    for column, value, rows in slices:
        part = compare(metric, labels[rows], scores[rows], reference[rows], resamples, config.seed)
        parts.append(_slice(column, value, rows, part))
    return Quality(
        metric=metric,
        rows=len(labels),
        value=estimate(whole.value),
        reference=_finite(whole.reference),
        drop=estimate(whole.drop),
        slices=parts,
    )


def _slice(column: str, value: str, rows: NDArray[np.bool_], part: Comparison) -> SliceQuality:
    return SliceQuality(
        column=column, value=value, rows=int(rows.sum()), metric=estimate(part.value), drop=estimate(part.drop)
    )


def slices_of(
    columns: dict[str, NDArray[Any]], wanted: Sequence[tuple[str, ...]], min_rows: int
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Every slice with enough rows: the column or columns, the value, and which rows are in it."""
    for names in wanted:
        values = [columns[name] for name in names]
        joined = values[0] if len(values) == 1 else np.array([" x ".join(row) for row in zip(*values, strict=True)])
        for value, count in zip(*np.unique(joined, return_counts=True), strict=True):
            if count >= min_rows:
                yield " x ".join(names), str(value), joined == value


def output_error(task: Task, scores: Floats, reference: Floats) -> OutputError:
    """How far the scores are from the reference's."""
    difference = np.abs(scores - reference)
    flipped = None if task == "regression" else int((decisions(scores) != decisions(reference)).sum())
    return OutputError(
        max=float(difference.max()),
        mean=float(difference.mean()),
        p99=float(np.percentile(difference, 99)),
        decisions_flipped=flipped,
        rows=len(scores),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
