"""Builds the report's quality entries from scores and labels. Plain numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxiway.components.contract import Task
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.intervals import Interval
from taxiway.components.metrics.quality_change import QualityChange, compare_quality, give_same_answers
from taxiway.components.metrics.weighted import EVEN, decide_classes
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.report import Estimate, MetricQuality, OutputError, Quality, SliceQuality

MAX_SLICE_RESAMPLES = 400


def build_estimate(interval: Interval) -> Estimate:
    """The report's form of an interval; what is not finite is None."""
    return Estimate(
        value=_replace_infinite(interval.value),
        low=_replace_infinite(interval.low),
        high=_replace_infinite(interval.high),
    )


def measure_quality(
    metrics: Sequence[str],
    labels: Floats,
    scores: Floats,
    reference: Floats,
    slices: Sequence[tuple[str, str, NDArray[np.bool_]]],
    config: OptimizationConfig,
    *,
    same: bool = False,
    threshold: float = EVEN,
) -> Quality:
    """Quality on all rows and in every slice, against the reference's scores of the same rows.

    Args:
        metrics: Names of the metrics that must be kept, the main one first; it alone is measured in slices.
        labels: Labels `[rows]`.
        scores: Scores of the variant, `[rows, 1]` or `[rows, classes]`.
        reference: Scores of the reference, of the same shape.
        slices: Column, value and member rows, as `iterate_slices` gives them.
        config: Configuration with resamples and seed.
        same: Flag that the variant gives the reference's answers (see `measure_output_error`): how much worse it is
            then does not depend on the sample of rows.
        threshold: Score above which a binary model, and so its variants, decides for the positive class.
    """
    changes = compare_quality(metrics, labels, scores, reference, config.bootstrap_samples, config.seed, threshold)
    whole = changes[metrics[0]]
    resamples = min(config.bootstrap_samples, MAX_SLICE_RESAMPLES)
    parts = []
    for column, value, rows in slices:
        part = compare_quality(
            metrics[:1], labels[rows], scores[rows], reference[rows], resamples, config.seed, threshold
        )[metrics[0]]
        parts.append(_build_slice_quality(column, value, rows, part, same))
    return Quality(
        metric=metrics[0],
        rows=len(labels),
        value=build_estimate(whole.value),
        reference=_replace_infinite(whole.reference),
        drop=_build_drop_estimate(whole, same),
        few=whole.few.reason if whole.few else "",
        also=[_build_metric_quality(name, changes[name], same) for name in metrics[1:]],
        slices=parts,
    )


def _build_drop_estimate(change: QualityChange, same: bool) -> Estimate:
    value = change.drop.value
    return build_estimate(Interval(value, value, value) if same else change.drop)


def _build_metric_quality(metric: str, change: QualityChange, same: bool) -> MetricQuality:
    return MetricQuality(
        metric=metric,
        value=build_estimate(change.value),
        reference=_replace_infinite(change.reference),
        drop=_build_drop_estimate(change, same),
    )


def _build_slice_quality(
    column: str, value: str, rows: NDArray[np.bool_], part: QualityChange, same: bool
) -> SliceQuality:
    return SliceQuality(
        column=column,
        value=value,
        rows=int(rows.sum()),
        metric=build_estimate(part.value),
        drop=_build_drop_estimate(part, same),
    )


def iterate_slices(
    columns: dict[str, NDArray[Any]], wanted: Sequence[tuple[str, ...]], min_rows: int
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Every slice with enough rows: the column or columns, the value, and which rows are in it."""
    for names in wanted:
        values = [columns[name] for name in names]
        joined = values[0] if len(values) == 1 else np.array([" x ".join(row) for row in zip(*values, strict=True)])
        for value, count in zip(*np.unique(joined, return_counts=True), strict=True):
            if count >= min_rows:
                yield " x ".join(names), str(value), joined == value


def measure_output_error(task: Task, scores: Floats, reference: Floats, threshold: float = EVEN) -> OutputError:
    """How far the scores are from the reference's. A binary model decides at the threshold."""
    difference = np.abs(scores - reference)
    decided = [decide_classes(each, threshold) for each in (scores, reference)]
    flipped = None if task == "regression" else int((decided[0] != decided[1]).sum())
    return OutputError(
        max=float(difference.max()),
        mean=float(difference.mean()),
        p99=float(np.percentile(difference, 99)),
        decisions_flipped=flipped,
        rows=len(scores),
        same=give_same_answers(task, scores, reference),
    )


def _replace_infinite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
