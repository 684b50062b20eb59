"""Intervals around an evaluation's metrics, slice by slice; `taxiway.components.metrics` makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from taxiway.components.metrics import weighted
from taxiway.components.metrics.intervals import Interval, MetricComparison, ScorePair, compare_metrics

CELLS = 4_000_000
"""At most so many rows times draws are computed for a slice; draws stay between `FEWEST` and `MOST`."""
FEWEST, MOST = 400, 1000

Limits = list[float]


def compute_slice_intervals(
    masks: Mapping[str, np.ndarray], pair: ScorePair, metrics: Iterable[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """95 % intervals by slice and metric.

    Args:
        masks: Mask of each slice's rows, bool `[rows]`.
        pair: Labels, and the scores of candidate and baseline.
        metrics: Names as `taxiway.components.evaluation` has them; others are left out.

    Returns:
        `{slice: {metric: {"value": [low, high], "change": [low, high], "few": why}}}`: `few` where there are too few
        rows for an interval, such as `3 rows of class yes`; what is not known has no entry.
    """
    metric_names = [name for name in metrics if weighted.is_known_metric(name, pair.classes)]
    return {
        name: _compute_metric_intervals(
            metric_names, replace(pair, labels=pair.labels[mask], first=pair.first[mask], second=pair.second[mask])
        )
        for name, mask in masks.items()
        if mask.any()
    }


def _compute_metric_intervals(metrics: Sequence[str], pair: ScorePair) -> dict[str, dict[str, Any]]:
    draws = int(np.clip(CELLS // len(pair.labels), FEWEST, MOST))
    described = {
        name: _describe_intervals(compared) for name, compared in compare_metrics(metrics, pair, draws, seed=1).items()
    }
    return {name: limits for name, limits in described.items() if limits}


def _describe_intervals(compared: MetricComparison) -> dict[str, Any]:
    if compared.few:
        return {"few": compared.few.reason}
    limits = {"value": _round_limits(compared.value), "change": _round_limits(compared.change)}
    return {key: value for key, value in limits.items() if value}


def _round_limits(interval: Interval) -> Limits:
    """Low and high; empty where they are not known."""
    return [round(interval.low, 6), round(interval.high, 6)] if np.isfinite([interval.low, interval.high]).all() else []
