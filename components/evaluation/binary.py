"""The metrics of a binary model: all of them from one pass over a slice's scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from taxiway.components.evaluation.row_batches import RowSums, SumsMetric
from taxiway.components.metrics.calibration_error import BINS, compute_calibration_error, sum_gaps
from taxiway.components.metrics.curve_areas import Floats, compute_average_precision, compute_roc_auc, divide_or_nan
from taxiway.components.metrics.score_counts import ScoreCounts
from taxiway.components.metrics.weighted import EVEN, compute_row_losses, decide_classes, mark_hits


class BinaryMetric(SumsMetric):
    """One metric of a model that gives the probability of the positive class.

    Args:
        name: Name under which it is reported.
        kind: Key of `BINARY_METRICS`.
        thresholds: By model, the score above which it decides for the positive class; 0.5 without an entry.
    """

    def __init__(self, name: str, kind: str, thresholds: Mapping[str, float] | None = None) -> None:
        super().__init__(name, BinarySums, BINARY_METRICS[kind], thresholds, kind=kind, thresholds=thresholds)


class BinarySums(RowSums):
    """Sums from which the metrics of a slice are computed.

    Args:
        threshold: Score above which a row is decided for the positive class.

    Attributes:
        counts: Rows of the positive class and the others by score.
        log_loss: Sum of the rows' losses.
        correct: Number of rows decided right.
        total: Sum of the scores; NaN where one is.
        squares: Sum of the squared distances of score and label.
        gaps: Sum of score - label by bin of the score, float64 `[BINS]`.
        decided, hits: Number of rows decided for the positive class, and of those that are of it.
    """

    def __init__(self, threshold: float = EVEN) -> None:
        super().__init__()
        self.threshold = threshold
        self.counts = ScoreCounts()
        self.log_loss = self.correct = self.total = self.squares = self.decided = self.hits = 0.0
        self.gaps = np.zeros(BINS)

    @property
    def positives(self) -> float:
        return float(self.counts.own.sum())

    @property
    def negatives(self) -> float:
        return float(self.counts.others.sum())

    @property
    def rows(self) -> float:
        return self.positives + self.negatives

    def add_to_sums(self, labels: Floats, scores: Floats) -> None:
        score, positive = scores[:, 0], (labels > 0.5).astype(np.float64)
        self.log_loss += float(compute_row_losses(positive, score).sum())
        self.correct += float(mark_hits(positive, score, self.threshold).sum())
        self.total += float(score.sum())
        self.squares += float(np.square(score - positive).sum())
        self.gaps = self.gaps + sum_gaps(positive, score)
        decided = decide_classes(score, self.threshold)
        self.decided += float(decided.sum())
        self.hits += float((decided * positive).sum())
        self.counts.add_rows(score, positive, 1 - positive)

    def merge_folded(self, other: BinarySums) -> None:
        self.log_loss += other.log_loss
        self.correct += other.correct
        self.total += other.total
        self.squares += other.squares
        self.gaps = self.gaps + other.gaps
        self.decided += other.decided
        self.hits += other.hits
        self.counts.merge_counts(other.counts)


def _guard_finite(metric: Callable[[BinarySums], ArrayLike]) -> Callable[[BinarySums], float]:
    """NaN for a model that gave a NaN, which has no rank among the scores and decides nothing."""
    return lambda scores: float(np.asarray(metric(scores))) if np.isfinite(scores.total) else float("nan")


def _build_area(area: Callable[[Floats, Floats], Floats]) -> Callable[[BinarySums], float]:
    return _guard_finite(lambda scores: area(scores.counts.own, scores.counts.others))


def _compute_precision(scores: BinarySums) -> ArrayLike:
    """0 where no row is decided for the positive class, as in scikit-learn; NaN where none is of it either."""
    if not scores.decided and scores.positives:
        return 0.0
    return divide_or_nan(scores.hits, scores.decided)


BINARY_METRICS: dict[str, Callable[[BinarySums], float]] = {
    "auc": _build_area(compute_roc_auc),
    "pr_auc": _build_area(compute_average_precision),
    "log_loss": lambda scores: float(divide_or_nan(scores.log_loss, scores.rows)),
    "accuracy": lambda scores: float(divide_or_nan(scores.correct, scores.rows)),
    "calibration": lambda scores: float(divide_or_nan(scores.total, scores.positives)),
    "brier": lambda scores: float(divide_or_nan(scores.squares, scores.rows)),
    "ece": _guard_finite(lambda scores: compute_calibration_error(scores.gaps, scores.rows)),
    "precision": _guard_finite(_compute_precision),
    "recall": _guard_finite(lambda scores: divide_or_nan(scores.hits, scores.positives)),
    "f1": _guard_finite(lambda scores: divide_or_nan(2 * scores.hits, scores.positives + scores.decided)),
    "positives": lambda scores: scores.positives,
    "judged_rows": lambda scores: min(scores.positives, scores.negatives),
}
"""From a slice's scores to a value; NaN where it is not defined, such as the AUC of a single class. TFMA fails a
threshold on NaN."""
