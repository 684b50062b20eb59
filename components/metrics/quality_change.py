"""How much worse a variant is than the reference on the same rows, with intervals. Plain numpy.

The optimizer chooses by it on `eval`, and the second Evaluator judges by it on `test`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from taxiway.components.contract import HIGHER_IS_BETTER, Task
from taxiway.components.errors import ConfigError, suggest_matches
from taxiway.components.metrics import intervals
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.intervals import Interval
from taxiway.components.metrics.weighted import EVEN
from taxiway.components.refusal import Refusal

METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "pr_auc", "accuracy", "log_loss"),
    "multiclass": ("accuracy", "log_loss"),
    "regression": ("mae", "mse", "rmse"),
}
"""The metrics that the optimizer can keep, by task."""

SAME_OUTPUTS = 1e-5
"""Two models whose scores differ by at most this (of a regression: as a share of the largest score) give the same
answers: another order of float32 sums makes such differences."""


def check_metric(metric: str, task: Task | None = None) -> None:
    """Raises `ConfigError` for a metric that the optimizer cannot compute, of a task where it is known."""
    known = METRICS[task] if task else tuple(dict.fromkeys(name for names in METRICS.values() for name in names))
    if metric not in known:
        of_task = f" of a {task} task" if task else ""
        raise ConfigError(f"The optimizer cannot keep the metric {metric!r}{of_task}.", suggest_matches(metric, known))


@dataclass(frozen=True)
class QualityChange:
    """A variant's metric, the reference's on the same rows, and how much worse the variant is.

    `drop` is positive where the variant is worse: a difference for metrics where more is better, a share of the
    reference's value for losses and errors. `few` says why there are no intervals; None where there are.
    """

    value: Interval
    reference: float
    drop: Interval
    few: Refusal | None = None


def compare_quality(
    metrics: Iterable[str],
    labels: Floats,
    scores: Floats,
    reference: Floats,
    resamples: int,
    seed: int,
    threshold: float = EVEN,
) -> dict[str, QualityChange]:
    """Compares two models on the same rows.

    Args:
        metrics: Names out of `METRICS` of the task.
        labels: Class indices or values, `[rows]`.
        scores: Scores of the variant, `[rows, 1]` or `[rows, classes]`.
        reference: Scores of the reference on the same rows.
        resamples: Number of draws of the bootstrap, for metrics that need one.
        seed: Seed of the resampling.
        threshold: Score above which both binary models decide for the positive class.
    """
    pair = intervals.ScorePair(labels, scores, reference, share_of_loss=True, thresholds=(threshold, threshold))
    return {
        name: QualityChange(
            comparison.value, comparison.other, _convert_to_drop(name, comparison.change), comparison.few
        )
        for name, comparison in intervals.compare_metrics(metrics, pair, resamples, seed).items()
    }


def give_same_answers(task: Task, scores: Floats, reference: Floats) -> bool:
    """Whether two models' scores of the same rows, of the same shape, differ by no more than `SAME_OUTPUTS`."""
    scale = max(float(np.abs(reference).max()), 1e-30) if task == "regression" else 1.0
    return float(np.abs(scores - reference).max()) <= SAME_OUTPUTS * scale


def _convert_to_drop(metric: str, change: Interval) -> Interval:
    if metric in HIGHER_IS_BETTER:
        return Interval(0.0 - change.value, 0.0 - change.high, 0.0 - change.low)
    return change
