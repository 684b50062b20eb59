"""Intervals around an evaluation's metrics, slice by slice; how they are made stands in `components.measures`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from components.measures import weighted
from components.measures.intervals import Compared, Interval, Pair, compare

CELLS = 4_000_000
"""Rows times draws that one slice costs at most; within `FEWEST` and `MOST` draws."""
FEWEST, MOST = 400, 1000

Limits = list[float]


def of_slices(
    masks: Mapping[str, np.ndarray],
    labels: np.ndarray,
    candidate: np.ndarray,
    baseline: np.ndarray,
    metrics: Iterable[str],
    classes: Sequence[str],
) -> dict[str, dict[str, dict[str, Any]]]:
    """95 % intervals by slice and metric.

    Args:
        masks: Slice to its rows, bool `[rows]`.
        labels: `[rows]`; class indices or values.
        candidate, baseline: Scores of the same rows, `[rows, 1]` or `[rows, classes]`.
        metrics: Names as `components.evaluation` has them; others are left out.
        classes: Names of the classes, in the order of the scores; may be empty.

    Returns:
        `{slice: {metric: {"value": [low, high], "change": [low, high], "few": why}}}`: `few` where there are too few
        rows for an interval, such as `3 rows of class yes`; what is not known has no entry.
    """
    known = [name for name in metrics if weighted.is_known(name, classes)]
    return {
        name: _of_rows(known, Pair(labels[mask].astype(np.float64), candidate[mask], baseline[mask], classes))
        for name, mask in masks.items()
        if mask.any()
    }


def _of_rows(metrics: Sequence[str], pair: Pair) -> dict[str, dict[str, Any]]:
    draws = int(np.clip(CELLS // len(pair.labels), FEWEST, MOST))
    said = {name: _told(compared) for name, compared in compare(metrics, pair, draws, seed=1).items()}
    return {name: told for name, told in said.items() if told}


def _told(compared: Compared) -> dict[str, Any]:
    if compared.few:
        return {"few": compared.few}
    limits = {"value": _limits(compared.value), "change": _limits(compared.change)}
    return {key: value for key, value in limits.items() if value}


def _limits(found: Interval) -> Limits:
    """Low and high; empty where they are not known."""
    return [round(found.low, 6), round(found.high, 6)] if np.isfinite([found.low, found.high]).all() else []
