"""Every metric as a function of row weights: how often each row was drawn, or how much it counts.

So one set of draws gives the metric of two models on the same rows, and the interval of their paired difference is far
narrower than the two intervals apart. With all weights 1 the values are scikit-learn's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from taxiway.components.metrics.calibration_error import BINS, assign_bins, compute_calibration_error
from taxiway.components.metrics.curve_areas import Floats, compute_average_precision, compute_roc_auc, divide_or_nan
from taxiway.components.metrics.error_quantiles import QUANTILES, compute_quantile

Weighted = Callable[[Floats], Floats]
"""Row weights `[draws, rows]` to the metric `[draws]`; NaN where it is not defined."""

EPSILON = 1e-7
"""How near to 0 a probability may come in the log loss, as in Keras."""
EVEN = 0.5
"""The threshold of a binary model that has no other."""


def decide_classes(scores: Floats, threshold: float = EVEN) -> NDArray[np.int64]:
    """The class each row is decided for: with one score a row by the threshold, the likeliest with several.

    Args:
        scores: Scores of the model, `[rows]`, `[rows, 1]` or `[rows, classes]`.
        threshold: Score above which a row is decided for the second class, as a served model decides: in float32.
    """
    table = scores.reshape(len(scores), -1)
    if table.shape[1] == 1:
        return (table[:, 0] > np.float32(threshold)).astype(np.int64)
    return np.argmax(table, axis=1).astype(np.int64)


def mark_hits(labels: Floats, scores: Floats, threshold: float = EVEN) -> Floats:
    """1 for each row that is decided for its class, else 0: float64 `[rows]`. The mean is the accuracy.

    Args:
        labels: Class indices, `[rows]`.
        scores: Scores of the model, `[rows]`, `[rows, 1]` or `[rows, classes]`.
        threshold: As in `decide_classes`.
    """
    return (decide_classes(scores, threshold) == labels.astype(np.int64)).astype(np.float64)


def compute_row_losses(labels: Floats, scores: Floats) -> Floats:
    """The negative logarithm of the probability that each row's class got: `[rows]`. The mean is the log loss.

    Args:
        labels: Class indices, `[rows]`.
        scores: Scores of the model, `[rows]`, `[rows, 1]` or `[rows, classes]`; one score a row is the second class's.
    """
    table = scores.reshape(len(labels), -1).astype(np.float64)
    if table.shape[1] == 1:
        table = np.hstack([1 - table, table])
    likelihood = np.take_along_axis(table, labels.astype(np.int64)[:, None], axis=1)[:, 0]
    return -np.log(np.clip(likelihood, EPSILON, 1.0))


def build_metric(
    name: str, labels: Floats, scores: Floats, classes: Sequence[str] = (), threshold: float = EVEN
) -> Weighted:
    """A metric of a model's scores, by its name as `taxiway.components.evaluation` has it.

    Args:
        name: Name of a metric that `is_known_metric` knows.
        labels: Class indices or values, `[rows]`.
        scores: Scores of the model, `[rows, 1]` or `[rows, classes]`.
        classes: Names of the classes, in the order of the scores; only metrics of single classes need them.
        threshold: Of a binary model, as in `decide_classes`.
    """
    one = parse_class_metric(name)
    if one is not None:
        return _build_class_metric(one[0], labels, scores, list(classes).index(one[1]), threshold)
    if name in _MACRO:
        return _build_macro(_MACRO[name], labels, scores)
    if name in DECIDED:
        return DECIDED[name](labels.astype(np.float64), scores, threshold)
    return METRICS[name](labels.astype(np.float64), scores)


def is_known_metric(name: str, classes: Sequence[str] = ()) -> bool:
    """Whether there is a metric of that name."""
    one = parse_class_metric(name)
    return name in METRICS or name in DECIDED or name in _MACRO or (one is not None and one[1] in classes)


def parse_class_metric(name: str) -> tuple[str, str] | None:
    """Kind and class of `recall[virginica]`."""
    match = re.fullmatch(r"(precision|recall|f1|auc)\[(.*)\]", name, re.DOTALL)
    return (match[1], match[2]) if match else None


def _build_area(area: Callable[[Floats, Floats], Floats], labels: Floats, scores: Floats) -> Weighted:
    """The area under a curve of the last score of each row; rows of equal score count together."""
    score = scores.reshape(len(labels), -1)[:, -1]
    order = np.argsort(score, kind="stable")
    positive, ordered = labels[order] > 0.5, score[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def compute_area(weights: Floats) -> Floats:
        w = weights[:, order]
        own, others = (np.add.reduceat(np.where(side, w, 0.0), first, axis=1) for side in (positive, ~positive))
        return area(own, others)

    return compute_area


def build_mean(per_row: Floats) -> Weighted:
    """The weighted mean of a value a row."""
    return lambda weights: divide_or_nan(weights @ per_row, weights.sum(axis=1))


def _build_accuracy(labels: Floats, scores: Floats, threshold: float) -> Weighted:
    return build_mean(mark_hits(labels, scores, threshold))


def _build_log_loss(labels: Floats, scores: Floats) -> Weighted:
    return build_mean(compute_row_losses(labels, scores))


def _build_calibration(labels: Floats, scores: Floats) -> Weighted:
    said = _take_positive(scores)
    return lambda weights: divide_or_nan(weights @ said, weights @ labels)


def _build_brier(labels: Floats, scores: Floats) -> Weighted:
    return build_mean((_take_positive(scores) - labels) ** 2)


def _build_ece(labels: Floats, scores: Floats) -> Weighted:
    said = _take_positive(scores)
    gaps = np.zeros((len(labels), BINS))
    gaps[np.arange(len(labels)), assign_bins(said)] = said - labels
    return lambda weights: compute_calibration_error(weights @ gaps, weights.sum(axis=1))


def _take_positive(scores: Floats) -> Floats:
    """The positive class's score of each row: the last one."""
    return scores.reshape(len(scores), -1)[:, -1].astype(np.float64)


def _build_decided(kind: str, labels: Floats, scores: Floats, threshold: float) -> Weighted:
    """Precision, recall or F1 of the positive class of two, as `decide_classes` decides."""
    return _build_class_metric(kind, labels, scores, 1, threshold)


def _build_mae(labels: Floats, scores: Floats) -> Weighted:
    return build_mean(np.abs(_compute_errors(labels, scores)))


def _build_mse(labels: Floats, scores: Floats) -> Weighted:
    return build_mean(_compute_errors(labels, scores) ** 2)


def _build_rmse(labels: Floats, scores: Floats) -> Weighted:
    mse = _build_mse(labels, scores)
    return lambda weights: np.sqrt(mse(weights))


def _build_r2(labels: Floats, scores: Floats) -> Weighted:
    values = labels - np.mean(labels)
    squares = _compute_errors(labels, scores) ** 2

    def compute_r2(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        deviation = weights @ values**2 - (weights @ values) ** 2 / total
        return 1 - divide_or_nan(weights @ squares, deviation)

    return compute_r2


def _build_error_quantile(share: float, labels: Floats, scores: Floats) -> Weighted:
    errors = np.abs(_compute_errors(labels, scores))
    order = np.argsort(errors, kind="stable")
    return lambda weights: compute_quantile(errors[order], weights[:, order], share)


def _compute_errors(labels: Floats, scores: Floats) -> Floats:
    return scores.reshape(len(labels)).astype(np.float64) - labels


def _build_macro(kind: str, labels: Floats, scores: Floats) -> Weighted:
    """The mean over the classes that were drawn."""
    each = [_build_class_metric(kind, labels, scores, index) for index in range(scores.shape[1])]
    occurs = [(labels == index).astype(np.float64) for index in range(scores.shape[1])]

    def compute_macro(weights: Floats) -> Floats:
        values = np.stack([metric(weights) for metric in each])
        drawn = np.stack([weights @ rows > 0 for rows in occurs]) & np.isfinite(values)
        return divide_or_nan(np.where(drawn, values, 0.0).sum(axis=0), drawn.sum(axis=0).astype(np.float64))

    return compute_macro


def _build_class_metric(kind: str, labels: Floats, scores: Floats, index: int, threshold: float = EVEN) -> Weighted:
    """One class against the others."""
    is_class = (labels == index).astype(np.float64)
    if kind == "auc":
        return _build_area(compute_roc_auc, is_class, scores[:, index : index + 1])
    decided = (decide_classes(scores, threshold) == index).astype(np.float64)
    hits = is_class * decided

    def compute_class_metric(weights: Floats) -> Floats:
        hit, own, said = weights @ hits, weights @ is_class, weights @ decided
        if kind == "recall":
            return divide_or_nan(hit, own)
        if kind == "f1":
            return divide_or_nan(2 * hit, own + said)
        return np.where((said == 0) & (own > 0), 0.0, divide_or_nan(hit, said))

    return compute_class_metric


METRICS: dict[str, Callable[[Floats, Floats], Weighted]] = {
    "auc": partial(_build_area, compute_roc_auc),
    "pr_auc": partial(_build_area, compute_average_precision),
    "log_loss": _build_log_loss,
    "calibration": _build_calibration,
    "brier": _build_brier,
    "ece": _build_ece,
    "mae": _build_mae,
    "mse": _build_mse,
    "rmse": _build_rmse,
    "r2": _build_r2,
    **{name: partial(_build_error_quantile, share) for name, share in QUANTILES.items()},
}
"""Metrics of a whole model's scores; the averages over classes are in `_MACRO`."""
DECIDED: dict[str, Callable[[Floats, Floats, float], Weighted]] = {
    "accuracy": _build_accuracy,
    **{kind: partial(_build_decided, kind) for kind in ("precision", "recall", "f1")},
}
"""Metrics of a whole model's decisions: of labels, scores and the threshold of two classes."""
_MACRO = {f"macro_{kind}": kind for kind in ("precision", "recall", "f1", "auc")}
REGRESSION = frozenset({"mae", "mse", "rmse", "r2", *QUANTILES})
