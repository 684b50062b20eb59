"""How much worse a variant is than the reference on the same rows, with intervals. Plain numpy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from components.contract import HIGHER_IS_BETTER
from components.errors import ConfigError, close_matches
from components.measures import intervals
from components.measures.areas import Floats
from components.measures.intervals import Interval

METRICS = ("auc", "pr_auc", "accuracy", "log_loss", "mae", "mse", "rmse")
"""What the optimizer can keep."""


def check_metric(metric: str) -> None:
    """Raises `ConfigError` for a metric that the optimizer cannot compute."""
    if metric not in METRICS:
        raise ConfigError(f"The optimizer cannot keep the metric {metric!r}.", close_matches(metric, METRICS))


@dataclass(frozen=True)
class Comparison:
    """A variant's metric, the reference's on the same rows, and how much worse the variant is.

    `drop` is positive where the variant is worse: a difference for metrics where more is better, a share of the
    reference's value for losses and errors. `few` says why there are no intervals; empty where there are.
    """

    value: Interval
    reference: float
    drop: Interval
    few: str = ""


def compare(
    metrics: Iterable[str], labels: Floats, scores: Floats, reference: Floats, resamples: int, seed: int
) -> dict[str, Comparison]:
    """Compares two models on the same rows.

    Args:
        metrics: Some of `METRICS`.
        labels: `[rows]`; class indices or values.
        scores: `[rows, 1]` or `[rows, classes]`, the variant's.
        reference: The reference's scores of the same rows.
        resamples: Of the bootstrap, for metrics that need one.
        seed: Of the resampling.
    """
    pair = intervals.Pair(labels, scores, reference, share_of_loss=True)
    return {
        name: Comparison(found.value, found.other, _drop(name, found.change), found.few)
        for name, found in intervals.compare(metrics, pair, resamples, seed).items()
    }


def _drop(metric: str, change: Interval) -> Interval:
    if metric in HIGHER_IS_BETTER:
        return Interval(0.0 - change.value, 0.0 - change.high, 0.0 - change.low)
    return change
