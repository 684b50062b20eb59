"""From scores and labels to the quality part of the report. Plain numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract import Task
from components.measures.areas import Floats
from components.measures.intervals import Interval
from components.measures.weighted import decisions
from components.optimizer.config import SAME_OUTPUTS, OptimizationConfig
from components.optimizer.quality import Comparison, compare
from components.optimizer.report import Estimate, MetricQuality, OutputError, Quality, SliceQuality

MAX_SLICE_RESAMPLES = 400


def estimate(interval: Interval) -> Estimate:
    """The report's form of an interval; what is not finite is None."""
    return Estimate(value=_finite(interval.value), low=_finite(interval.low), high=_finite(interval.high))


def quality(
    metrics: Sequence[str],
    labels: Floats,
    scores: Floats,
    reference: Floats,
    slices: Sequence[tuple[str, str, NDArray[np.bool_]]],
    config: OptimizationConfig,
    *,
    same: bool = False,
) -> Quality:
    """Quality on all rows and in every slice, against the reference's scores of the same rows.

    Args:
        metrics: The metrics that must be kept, the main one first; it alone is measured in slices.
        labels: `[rows]`.
        scores: `[rows, 1]` or `[rows, classes]`.
        reference: Of the same shape.
        slices: Column, value and member rows, as `slices_of` gives them.
        config: Resamples and seed.
        same: Whether the variant gives the reference's answers (see `output_error`): then no sample decides how much
            worse it is.
    """
    found = compare(metrics, labels, scores, reference, config.bootstrap_samples, config.seed)
    whole = found[metrics[0]]
    resamples = min(config.bootstrap_samples, MAX_SLICE_RESAMPLES)
    parts = []
    for column, value, rows in slices:
        part = compare(metrics[:1], labels[rows], scores[rows], reference[rows], resamples, config.seed)[metrics[0]]
        parts.append(_slice(column, value, rows, part, same))
    return Quality(
        metric=metrics[0],
        rows=len(labels),
        value=estimate(whole.value),
        reference=_finite(whole.reference),
        drop=_drop(whole, same),
        few=whole.few,
        also=[_further(name, found[name], same) for name in metrics[1:]],
        slices=parts,
    )


def _drop(found: Comparison, same: bool) -> Estimate:
    value = found.drop.value
    return estimate(Interval(value, value, value) if same else found.drop)


def _further(metric: str, found: Comparison, same: bool) -> MetricQuality:
    return MetricQuality(
        metric=metric, value=estimate(found.value), reference=_finite(found.reference), drop=_drop(found, same)
    )


def _slice(column: str, value: str, rows: NDArray[np.bool_], part: Comparison, same: bool) -> SliceQuality:
    return SliceQuality(
        column=column, value=value, rows=int(rows.sum()), metric=estimate(part.value), drop=_drop(part, same)
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
    scale = max(float(np.abs(reference).max()), 1e-30) if task == "regression" else 1.0
    flipped = None if task == "regression" else int((decisions(scores) != decisions(reference)).sum())
    return OutputError(
        max=float(difference.max()),
        mean=float(difference.mean()),
        p99=float(np.percentile(difference, 99)),
        decisions_flipped=flipped,
        rows=len(scores),
        same=float(difference.max()) <= SAME_OUTPUTS * scale,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
