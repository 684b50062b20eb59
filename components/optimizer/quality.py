"""The task's metrics with bootstrap intervals on paired differences. Plain numpy.

Every metric is a function of row weights, so that one set of resamples (a row's weight is how often it was drawn) gives
the metric of the reference and of a variant on the same rows: the interval is of the *paired* difference, which is far
tighter than the difference of two intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.contract import HIGHER_IS_BETTER
from components.errors import ConfigError, close_matches

Floats = NDArray[np.float64]
Weighted = Callable[[Floats], Floats]
"""Row weights `[resamples, rows]` to the metric `[resamples]`; NaN where it is not defined."""

_EPSILON = 1e-7


def _auc(labels: Floats, scores: Floats) -> Weighted:
    """Area under the ROC curve by the Mann-Whitney statistic; rows of equal score count half."""
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
        return _ratio(won, positives.sum(axis=1) * negatives[:, -1])

    return auc


def _pr_auc(labels: Floats, scores: Floats) -> Weighted:
    """Average precision: precision at every threshold, weighted by the recall that it adds."""
    score = scores.reshape(len(labels), -1)[:, -1]
    order = np.argsort(-score, kind="stable")
    positive = labels[order] > 0.5
    ordered = score[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def pr_auc(weights: Floats) -> Floats:
        w = weights[:, order]
        positives = np.add.reduceat(np.where(positive, w, 0.0), first, axis=1)
        everything = np.add.reduceat(w, first, axis=1)
        precision = _ratio(np.cumsum(positives, axis=1), np.cumsum(everything, axis=1))
        return _ratio(np.nansum(precision * positives, axis=1), positives.sum(axis=1))

    return pr_auc


def _mean_of(per_row: Floats) -> Weighted:
    return lambda weights: _ratio(weights @ per_row, weights.sum(axis=1))


def _accuracy(labels: Floats, scores: Floats) -> Weighted:
    return _mean_of((decisions(scores) == labels.astype(np.int64)).astype(np.float64))


def _log_loss(labels: Floats, scores: Floats) -> Weighted:
    table = scores.reshape(len(labels), -1)
    if table.shape[1] == 1:
        table = np.hstack([1 - table, table])
    likelihood = np.take_along_axis(table, labels.astype(np.int64)[:, None], axis=1)[:, 0]
    return _mean_of(-np.log(np.clip(likelihood, _EPSILON, 1.0)))


def _mae(labels: Floats, scores: Floats) -> Weighted:
    return _mean_of(np.abs(scores.reshape(len(labels)) - labels))


def _mse(labels: Floats, scores: Floats) -> Weighted:
    return _mean_of((scores.reshape(len(labels)) - labels) ** 2)


def _rmse(labels: Floats, scores: Floats) -> Weighted:
    mse = _mse(labels, scores)
    return lambda weights: np.sqrt(mse(weights))


METRICS: dict[str, Callable[[Floats, Floats], Weighted]] = {
    "auc": _auc,
    "pr_auc": _pr_auc,
    "accuracy": _accuracy,
    "log_loss": _log_loss,
    "mae": _mae,
    "mse": _mse,
    "rmse": _rmse,
}


def check_metric(metric: str) -> None:
    """Raises `ConfigError` for a metric that the optimizer cannot compute."""
    if metric not in METRICS:
        raise ConfigError(f"The optimizer cannot keep the metric {metric!r}.", close_matches(metric, METRICS))


def decisions(scores: Floats) -> NDArray[np.int64]:
    """The class each row is decided for: at 0.5 for one score a row, the likeliest for several."""
    table = scores.reshape(len(scores), -1)
    if table.shape[1] == 1:
        return (table[:, 0] > 0.5).astype(np.int64)
    return np.argmax(table, axis=1).astype(np.int64)


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A variant's metric, the reference's on the same rows, and how much worse the variant is.

    `drop` is positive where the variant is worse: a difference for metrics where more is better, a share of the
    reference's value for losses and errors.
    """

    value: Interval
    reference: float
    drop: Interval


def compare(metric: str, labels: Floats, scores: Floats, reference: Floats, resamples: int, seed: int) -> Comparison:
    """Compares two models on the same rows.

    Args:
        metric: A key of `METRICS`.
        labels: `[rows]`; class indices or values.
        scores: `[rows, 1]` or `[rows, classes]`, the variant's.
        reference: The reference's scores of the same rows.
        resamples: Bootstrap resamples.
        seed: Of the resampling.
    """
    of_variant, of_reference = METRICS[metric](labels, scores), METRICS[metric](labels, reference)
    everything = np.ones((1, len(labels)))
    value, base = float(of_variant(everything)[0]), float(of_reference(everything)[0])
    pairs = [(of_variant(w), of_reference(w)) for w in resampled_weights(len(labels), resamples, seed)]
    values, bases = (np.concatenate(side) for side in zip(*pairs, strict=True))
    drop = _drop(metric, np.array([value]), np.array([base]))
    return Comparison(
        value=interval(value, values),
        reference=base,
        drop=interval(float(drop[0]), _drop(metric, values, bases)),
    )


def resampled_weights(rows: int, resamples: int, seed: int, cells: int = 4_000_000) -> Iterator[Floats]:
    """Chunks of bootstrap weights `[some resamples, rows]`: how often each row was drawn, with replacement."""
    generator = np.random.default_rng(seed)
    chunk = max(1, cells // max(rows, 1))
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = generator.integers(0, rows, size=(count, rows)) + rows * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def interval(value: float, resampled: Floats) -> Interval:
    """The percentile interval, 2.5 % to 97.5 %; resamples in which the metric is not defined do not count."""
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def _drop(metric: str, value: Floats, reference: Floats) -> Floats:
    if metric in HIGHER_IS_BETTER:
        return reference - value
    return (value - reference) / np.maximum(np.abs(reference), 1e-12)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
