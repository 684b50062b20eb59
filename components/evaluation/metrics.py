"""The metrics of models with several classes and of regressions, and the count of rows: each from a slice's sums."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from taxiway.components.evaluation.row_batches import RowSums, SumsMetric
from taxiway.components.metrics.curve_areas import Floats, compute_roc_auc, divide_or_nan
from taxiway.components.metrics.error_quantiles import QUANTILES, compute_quantile
from taxiway.components.metrics.score_counts import ScoreCounts
from taxiway.components.metrics.weighted import EPSILON, compute_row_losses

_MOST_SCORES = 4_000_000
"""Distinct scores of all classes together that are told apart exactly."""


class RowCount(SumsMetric):
    """Rows with a label and a prediction."""

    def __init__(self, name: str) -> None:
        super().__init__(name, CountedRows, lambda counted: counted.rows)


class CountedRows(RowSums):
    """The number of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0.0

    def add_to_sums(self, labels: Floats, scores: Floats) -> None:
        self.rows += len(labels)

    def merge_folded(self, other: CountedRows) -> None:
        self.rows += other.rows


class RegressionMetric(SumsMetric):
    """One metric of a regression.

    Args:
        name: Name under which it is reported.
        kind: Key of `REGRESSION_METRICS`.
    """

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name, RegressionSums, REGRESSION_METRICS[kind], kind=kind)


class RegressionSums(RowSums):
    """Sums from which the metrics of a regression's slice are computed. Deviations are merged by Chan's formula, which
    keeps the digits of large labels that vary little.

    Attributes:
        rows: Number of rows.
        mean: Their mean label.
        deviation: Sum of squared deviations from it.
        squared_error: Sum of squared errors.
        absolute_error: Sum of absolute errors.
        errors: Rows by their absolute error, all of them `own`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows = self.mean = self.deviation = self.squared_error = self.absolute_error = 0.0
        self.errors = ScoreCounts()

    def add_to_sums(self, labels: Floats, scores: Floats) -> None:
        errors, mean = scores[:, 0] - labels, float(labels.mean())
        self._add_moments(float(len(labels)), mean, float(np.square(labels - mean).sum()))
        self.squared_error += float(np.square(errors).sum())
        self.absolute_error += float(np.abs(errors).sum())
        self.errors.add_rows(np.abs(errors), np.ones(len(errors)), np.zeros(len(errors)))

    def merge_folded(self, other: RegressionSums) -> None:
        self._add_moments(other.rows, other.mean, other.deviation)
        self.squared_error += other.squared_error
        self.absolute_error += other.absolute_error
        self.errors.merge_counts(other.errors)

    def _add_moments(self, rows: float, mean: float, deviation: float) -> None:
        if rows:
            apart, share = mean - self.mean, rows / (self.rows + rows)
            self.deviation += deviation + apart**2 * self.rows * share
            self.mean += apart * share
            self.rows += rows


def _compute_r2(sums: RegressionSums) -> float:
    return 1 - sums.squared_error / sums.deviation if sums.deviation > 0 else float("nan")


def _build_quantile(share: float) -> Callable[[RegressionSums], float]:
    """What a share of the rows errs by at most; NaN for a model that gave a NaN, which has no rank."""

    def compute_error(sums: RegressionSums) -> float:
        known = np.isfinite(sums.absolute_error)
        return float(compute_quantile(sums.errors.score, sums.errors.own, share)) if known else float("nan")

    return compute_error


REGRESSION_METRICS: dict[str, Callable[[RegressionSums], float]] = {
    "mae": lambda sums: float(divide_or_nan(sums.absolute_error, sums.rows)),
    "mse": lambda sums: float(divide_or_nan(sums.squared_error, sums.rows)),
    "rmse": lambda sums: float(np.sqrt(divide_or_nan(sums.squared_error, sums.rows))),
    "r2": _compute_r2,
    **{name: _build_quantile(share) for name, share in QUANTILES.items()},
}
"""From a slice's sums to a value; R2 is NaN where the labels do not vary."""


class ModelMetric(SumsMetric):
    """One metric of a model with several classes as a whole.

    Args:
        name: Name under which it is reported.
        kind: Key of `MODEL_METRICS`.
    """

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name, ClassSums, MODEL_METRICS[kind], kind=kind)


class ClassMetric(SumsMetric):
    """Precision, recall, F1 or the area under the ROC curve of one class against the others, or their macro average.

    Args:
        name: Name under which it is reported.
        kind: Key of `CLASS_METRICS`.
        index: Index of the class; -1 for the mean over the classes that occur among a slice's labels, or for `rows` the
            fewest that a class has.
    """

    def __init__(self, name: str, kind: str, index: int = -1) -> None:
        def select_value(sums: ClassSums) -> float:
            values = CLASS_METRICS[kind](sums)
            if 0 <= index < len(values):
                return float(values[index])
            return _take_fewest(values) if kind == "rows" else _average_classes(values, sums, index)

        super().__init__(name, ClassSums, select_value, kind=kind, index=index)


class ClassSums(RowSums):
    """Sums from which the metrics of a slice's classes are computed.

    Attributes:
        rows: Number of rows, those of classes that the model does not have among them.
        own: float64 `[classes]`: rows of each class.
        decided: float64 `[classes]`: rows decided for it.
        hits: float64 `[classes]`: both.
        log_loss: Sum of the rows' losses.
        scores: Rows of each class, and the other rows, by the score that the class got. Before the first row there are
            no classes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.own, self.decided, self.hits = np.zeros(0), np.zeros(0), np.zeros(0)
        self.rows = self.log_loss = 0.0
        self.scores: list[ScoreCounts] = []

    def add_to_sums(self, labels: Floats, scores: Floats) -> None:
        self._prepare_classes(scores.shape[1])
        classes, decided, count = labels.astype(np.int64), scores.argmax(axis=1), len(self.scores)
        known = (classes >= 0) & (classes < count)  # an older model may lack a class that the rows have
        self.rows += len(labels)
        self.own += np.bincount(classes[known], minlength=count)
        self.decided += np.bincount(decided, minlength=count)
        self.hits += np.bincount(classes[classes == decided], minlength=count)
        self.log_loss += float(compute_row_losses(labels[known], scores[known]).sum())
        self.log_loss -= float(np.log(EPSILON)) * float((~known).sum())
        for index, counts in enumerate(self.scores):
            own = (classes == index).astype(np.float64)
            counts.add_rows(scores[:, index], own, 1 - own)

    def merge_folded(self, other: ClassSums) -> None:
        self._prepare_classes(len(other.scores))
        for mine, theirs in zip(self.scores, other.scores, strict=False):  # the other side may have no rows
            mine.merge_counts(theirs)
        if other.scores:
            self.own, self.decided, self.hits = (
                self.own + other.own, self.decided + other.decided, self.hits + other.hits
            )  # fmt: skip
        self.rows += other.rows
        self.log_loss += other.log_loss

    def _prepare_classes(self, classes: int) -> None:
        if classes and not self.scores:
            self.own, self.decided, self.hits = np.zeros(classes), np.zeros(classes), np.zeros(classes)
            most = max(_MOST_SCORES // classes, 20_000)
            self.scores = [ScoreCounts(most) for _ in range(classes)]


def _average_classes(values: Floats, sums: ClassSums, index: int) -> float:
    """The mean over the classes that occur; NaN for a class that the model does not have."""
    defined = values[(sums.own > 0) & np.isfinite(values)] if index < 0 else values[:0]
    return float(np.mean(defined)) if len(defined) else float("nan")


def _take_fewest(values: Floats) -> float:
    return float(values.min()) if len(values) else 0.0


def _compute_precision(sums: ClassSums) -> Floats:
    """0 for a class that is never decided for, as in scikit-learn; NaN where it does not occur either."""
    values = divide_or_nan(sums.hits, sums.decided)
    return np.where((sums.decided == 0) & (sums.own > 0), 0.0, values)


def _compute_recall(sums: ClassSums) -> Floats:
    return divide_or_nan(sums.hits, sums.own)


def _compute_f1(sums: ClassSums) -> Floats:
    return divide_or_nan(2 * sums.hits, sums.own + sums.decided)


def _compute_auc(sums: ClassSums) -> Floats:
    """Of each class against the others, exact."""
    return np.array([float(compute_roc_auc(counts.own, counts.others)) for counts in sums.scores])


CLASS_METRICS: dict[str, Callable[[ClassSums], Floats]] = {
    "precision": _compute_precision,
    "recall": _compute_recall,
    "f1": _compute_f1,
    "auc": _compute_auc,
    "rows": lambda sums: sums.own,
}
"""From the sums of a slice to one value a class."""


MODEL_METRICS: dict[str, Callable[[ClassSums], float]] = {
    "accuracy": lambda sums: float(divide_or_nan(sums.hits.sum(), sums.rows)),
    "log_loss": lambda sums: float(divide_or_nan(sums.log_loss, sums.rows)),
}
"""From the sums of a slice to one value."""
