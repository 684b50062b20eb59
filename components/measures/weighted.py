"""Every metric as a function of row weights: how often each row was drawn, or what it counts.

One set of draws so gives the metric of two models on the same rows, and a paired difference is far tighter than the
difference of two intervals. With all weights 1 the values are scikit-learn's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from components.measures.areas import Floats, average_precision, ratio

Weighted = Callable[[Floats], Floats]
"""Row weights `[draws, rows]` to the metric `[draws]`; NaN where it is not defined."""

EPSILON = 1e-7
"""How near to 0 a probability may come in the log loss, as in Keras."""


def decisions(scores: Floats) -> NDArray[np.int64]:
    """The class each row is decided for: at 0.5 for one score a row, the likeliest for several."""
    table = scores.reshape(len(scores), -1)
    if table.shape[1] == 1:
        return (table[:, 0] > 0.5).astype(np.int64)
    return np.argmax(table, axis=1).astype(np.int64)


def weigh(name: str, labels: Floats, scores: Floats, classes: Sequence[str] = ()) -> Weighted:
    """A metric of a model's scores, by its name as `components.evaluation` has it.

    Args:
        name: One that `is_known`.
        labels: `[rows]`; class indices or values.
        scores: `[rows, 1]` or `[rows, classes]`.
        classes: Names of the classes, in the order of the scores; only metrics of single classes need them.
    """
    one = single_class(name)
    if one is not None:
        return _class_metric(one[0], labels, scores, list(classes).index(one[1]))
    if name in _MACRO:
        return _macro(_MACRO[name], labels, scores)
    return METRICS[name](labels.astype(np.float64), scores)


def is_known(name: str, classes: Sequence[str] = ()) -> bool:
    """Whether there is a metric of that name."""
    one = single_class(name)
    return name in METRICS or name in _MACRO or (one is not None and one[1] in classes)


def single_class(name: str) -> tuple[str, str] | None:
    """Kind and class of `recall[virginica]`."""
    match = re.fullmatch(r"(precision|recall|f1|auc)\[(.*)\]", name, re.DOTALL)
    return (match[1], match[2]) if match else None


def _auc(labels: Floats, scores: Floats) -> Weighted:
    """Mann and Whitney's statistic, by weights; rows of equal score count half."""
    score = scores.reshape(len(labels), -1)[:, -1]
    order = np.argsort(score, kind="stable")
    positive = labels[order] > 0.5
    ordered = score[order]
    run = np.cumsum(np.r_[True, ordered[1:] != ordered[:-1]]) - 1  # which run of equal scores each row is in
    edges = np.r_[np.flatnonzero(np.r_[True, run[1:] != run[:-1]]), len(run)]
    starts, ends = edges[run[positive]], edges[run[positive] + 1]

    def auc(weights: Floats) -> Floats:
        w = weights[:, order]
        negatives = np.zeros((len(w), len(order) + 1))  # up to each row, itself not counted
        np.cumsum(np.where(positive, 0.0, w), axis=1, out=negatives[:, 1:])
        positives = w[:, positive]
        won = (positives * (negatives[:, starts] + negatives[:, ends])).sum(axis=1) / 2
        return ratio(won, positives.sum(axis=1) * negatives[:, -1])

    return auc


def _pr_auc(labels: Floats, scores: Floats) -> Weighted:
    score = scores.reshape(len(labels), -1)[:, -1]
    order = np.argsort(score, kind="stable")
    positive, ordered = labels[order] > 0.5, score[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def pr_auc(weights: Floats) -> Floats:
        w = weights[:, order]
        sides = (np.add.reduceat(np.where(side, w, 0.0), first, axis=1) for side in (positive, ~positive))
        return average_precision(*sides)

    return pr_auc


def mean_of(per_row: Floats) -> Weighted:
    """The weighted mean of a value a row."""
    return lambda weights: ratio(weights @ per_row, weights.sum(axis=1))


def _accuracy(labels: Floats, scores: Floats) -> Weighted:
    return mean_of((decisions(scores) == labels.astype(np.int64)).astype(np.float64))


def _log_loss(labels: Floats, scores: Floats) -> Weighted:
    table = scores.reshape(len(labels), -1).astype(np.float64)
    if table.shape[1] == 1:
        table = np.hstack([1 - table, table])
    likelihood = np.take_along_axis(table, labels.astype(np.int64)[:, None], axis=1)[:, 0]
    return mean_of(-np.log(np.clip(likelihood, EPSILON, 1.0)))


def _calibration(labels: Floats, scores: Floats) -> Weighted:
    said = scores.reshape(len(labels), -1)[:, -1].astype(np.float64)
    return lambda weights: ratio(weights @ said, weights @ labels)


def _mae(labels: Floats, scores: Floats) -> Weighted:
    return mean_of(np.abs(_errors(labels, scores)))


def _mse(labels: Floats, scores: Floats) -> Weighted:
    return mean_of(_errors(labels, scores) ** 2)


def _rmse(labels: Floats, scores: Floats) -> Weighted:
    mse = _mse(labels, scores)
    return lambda weights: np.sqrt(mse(weights))


def _r2(labels: Floats, scores: Floats) -> Weighted:
    values = labels - np.mean(labels)
    squares = _errors(labels, scores) ** 2

    def r2(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        deviation = weights @ values**2 - (weights @ values) ** 2 / total
        return 1 - ratio(weights @ squares, deviation)

    return r2


def _errors(labels: Floats, scores: Floats) -> Floats:
    return scores.reshape(len(labels)).astype(np.float64) - labels


def _macro(kind: str, labels: Floats, scores: Floats) -> Weighted:
    """The mean over the classes that were drawn."""
    each = [_class_metric(kind, labels, scores, index) for index in range(scores.shape[1])]
    occurs = [(labels == index).astype(np.float64) for index in range(scores.shape[1])]

    def macro(weights: Floats) -> Floats:
        values = np.stack([metric(weights) for metric in each])
        drawn = np.stack([weights @ rows > 0 for rows in occurs]) & np.isfinite(values)
        return ratio(np.where(drawn, values, 0.0).sum(axis=0), drawn.sum(axis=0).astype(np.float64))

    return macro


def _class_metric(kind: str, labels: Floats, scores: Floats, index: int) -> Weighted:
    """One class against the others."""
    is_class = (labels == index).astype(np.float64)
    if kind == "auc":
        return _auc(is_class, scores[:, index : index + 1])
    decided = (decisions(scores) == index).astype(np.float64)
    hits = is_class * decided

    def counted(weights: Floats) -> Floats:
        hit, own, said = weights @ hits, weights @ is_class, weights @ decided
        if kind == "recall":
            return ratio(hit, own)
        if kind == "f1":
            return ratio(2 * hit, own + said)
        return np.where((said == 0) & (own > 0), 0.0, ratio(hit, said))

    return counted


METRICS: dict[str, Callable[[Floats, Floats], Weighted]] = {
    "auc": _auc,
    "pr_auc": _pr_auc,
    "accuracy": _accuracy,
    "log_loss": _log_loss,
    "calibration": _calibration,
    "mae": _mae,
    "mse": _mse,
    "rmse": _rmse,
    "r2": _r2,
}
"""Metrics of a whole model; the averages over classes are in `_MACRO`."""
_MACRO = {f"macro_{kind}": kind for kind in ("precision", "recall", "f1", "auc")}
REGRESSION = frozenset({"mae", "mse", "rmse", "r2"})
