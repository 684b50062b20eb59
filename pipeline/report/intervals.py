"""Intervals around an evaluation's metrics: the rows drawn again with replacement, the same rows for both models.

The interval of a change is of the paired difference, which is far tighter than the difference of two intervals. Plain
numpy; the metrics are those of `components.evaluation`, each as a function of how often every row was drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from components.optimizer.quality import METRICS, Floats, Weighted, decisions, interval, resampled_weights

CELLS = 1_000_000
"""Rows times resamples that one slice costs at most; within `FEWEST` and `MOST` resamples."""
FEWEST, MOST = 100, 400
FEWEST_ROWS = 10
"""Slices of fewer rows get no interval: resampling says nothing there."""

Limits = list[float]


def of_slices(
    masks: Mapping[str, np.ndarray],
    labels: np.ndarray,
    candidate: np.ndarray,
    baseline: np.ndarray,
    metrics: Iterable[str],
    classes: Sequence[str],
) -> dict[str, dict[str, dict[str, Limits]]]:
    """95 % intervals by slice and metric.

    Args:
        masks: Slice to its rows, bool `[rows]`.
        labels: `[rows]`; class indices or values.
        candidate, baseline: Scores of the same rows, `[rows, 1]` or `[rows, classes]`.
        metrics: Names as `components.evaluation` has them; others are left out.
        classes: Names of the classes, in the order of the scores; may be empty.

    Returns:
        `{slice: {metric: {"value": [low, high], "change": [low, high]}}}`; a metric that is not defined in a slice has
        no entry.
    """
    known = [name for name in metrics if known_metric(name, classes)]
    return {
        name: _of_rows(known, labels[mask], candidate[mask], baseline[mask], classes)
        for name, mask in masks.items()
        if mask.sum() >= FEWEST_ROWS
    }


def _of_rows(
    metrics: Iterable[str], labels: np.ndarray, candidate: np.ndarray, baseline: np.ndarray, classes: Sequence[str]
) -> dict[str, dict[str, Limits]]:
    pairs = {
        name: (weighted(name, labels, candidate, classes), weighted(name, labels, baseline, classes))
        for name in metrics
    }
    resamples = int(np.clip(CELLS // len(labels), FEWEST, MOST))
    drawn: dict[str, list[tuple[Floats, Floats]]] = {name: [] for name in pairs}
    for weights in resampled_weights(len(labels), resamples, seed=1):
        for name, (mine, other) in pairs.items():
            drawn[name].append((mine(weights), other(weights)))
    found = {}
    for name, parts in drawn.items():
        mine, other = (np.concatenate(side) for side in zip(*parts, strict=True))
        limits = {"value": _limits(mine), "change": _limits(mine - other)}
        found[name] = {key: value for key, value in limits.items() if value}
    return {name: limits for name, limits in found.items() if limits}


def _limits(values: Floats) -> Limits:
    """Low and high; empty where the metric is not defined in most of the resamples."""
    if np.isfinite(values).mean() < 0.5:
        return []
    found = interval(0.0, values)
    return [round(found.low, 6), round(found.high, 6)]


# ---- the metrics, by row weights `[resamples, rows]` ----


def known_metric(name: str, classes: Sequence[str]) -> bool:
    """Whether an interval can be made for a metric of that name."""
    one = _one_class(name)
    return name in METRICS or name in _OWN or name in _MACRO or (one is not None and one[1] in classes)


def weighted(name: str, labels: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> Weighted:
    """A metric as a function of row weights."""
    one = _one_class(name)
    if one is not None:
        return _class_metric(one[0], labels, scores, list(classes).index(one[1]))
    if name in _MACRO:
        return _macro(_MACRO[name], labels, scores)
    return _OWN[name](labels, scores) if name in _OWN else METRICS[name](labels.astype(np.float64), scores)


def _one_class(name: str) -> tuple[str, str] | None:
    """Kind and class of `recall[virginica]`."""
    match = re.fullmatch(r"(precision|recall|f1|auc)\[(.*)\]", name)
    return (match[1], match[2]) if match else None


def _calibration(labels: np.ndarray, scores: np.ndarray) -> Weighted:
    said, was = scores.reshape(len(labels), -1)[:, -1].astype(np.float64), labels.astype(np.float64)
    return lambda weights: _ratio(weights @ said, weights @ was)


def _r2(labels: np.ndarray, scores: np.ndarray) -> Weighted:
    values = labels.astype(np.float64) - np.mean(labels, dtype=np.float64)
    errors = (labels.astype(np.float64) - scores.reshape(len(labels)).astype(np.float64)) ** 2

    def r2(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        deviation = weights @ values**2 - (weights @ values) ** 2 / total
        return 1 - _ratio(weights @ errors, deviation)

    return r2


def _macro(kind: str, labels: np.ndarray, scores: np.ndarray) -> Weighted:
    """The mean over the classes that were drawn."""
    each = [_class_metric(kind, labels, scores, index) for index in range(scores.shape[1])]
    occurs = [(labels == index).astype(np.float64) for index in range(scores.shape[1])]

    def macro(weights: Floats) -> Floats:
        values = np.stack([metric(weights) for metric in each])
        drawn = np.stack([weights @ rows > 0 for rows in occurs]) & np.isfinite(values)
        return _ratio(np.where(drawn, values, 0.0).sum(axis=0), drawn.sum(axis=0).astype(np.float64))

    return macro


def _class_metric(kind: str, labels: np.ndarray, scores: np.ndarray, index: int) -> Weighted:
    """One class against the others."""
    is_class = (labels == index).astype(np.float64)
    if kind == "auc":
        return METRICS["auc"](is_class, scores[:, index : index + 1])
    decided = (decisions(scores) == index).astype(np.float64)
    hits = is_class * decided

    def counted(weights: Floats) -> Floats:
        hit, own, said = weights @ hits, weights @ is_class, weights @ decided
        if kind == "recall":
            return _ratio(hit, own)
        if kind == "f1":
            return _ratio(2 * hit, own + said)
        return np.where((said == 0) & (own > 0), 0.0, _ratio(hit, said))

    return counted


def _ratio(above: Any, below: Any) -> Floats:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0)


_OWN = {"calibration": _calibration, "r2": _r2}
_MACRO = {f"macro_{kind}": kind for kind in ("precision", "recall", "f1", "auc")}
