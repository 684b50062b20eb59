"""Metrics that TFMA lacks, as TFMA's own extension: R2, and what is asked class by class of a multiclass model.

TFMA's `R2Score` comes from Keras and fails on the signatures' outputs; its binarized metrics need the number of classes
and report a macro average apart from the thresholds. All of the classes' metrics here derive from one pass of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from components.measures.areas import Floats, area_under_roc, ratio
from components.measures.counts import ScoreCounts

_SUMS = "_taxiway_class_sums"  # TFMA keeps names that begin so to itself
_MOST_SCORES = 4_000_000
"""Distinct scores of all classes together that are told apart exactly."""
_PENDING = 4096


class RSquared(metric_types.Metric):
    """The coefficient of determination: 1 - squared error / squared deviation from the mean label.

    NaN where the labels of a slice do not vary.
    """

    def __init__(self, name: str = "r2") -> None:
        super().__init__(metric_util.merge_per_key_computations(_r_squared), name=name)


class RowCount(metric_types.Metric):
    """Rows with a label and a prediction."""

    def __init__(self, name: str) -> None:
        super().__init__(metric_util.merge_per_key_computations(_row_count), name=name)


class ClassMetric(metric_types.Metric):
    """Precision, recall, F1 or the area under the ROC curve of one class against the others, or their macro average.

    Args:
        name: Under which it is reported.
        kind: `precision`, `recall`, `f1`, `auc` or `rows`.
        index: Of the class; -1 for the mean over the classes that occur among a slice's labels, or for `rows` the
            fewest that a class has.
    """

    def __init__(self, name: str, kind: str, index: int = -1) -> None:
        super().__init__(metric_util.merge_per_key_computations(_class_metric), name=name, kind=kind, index=index)


def _key(name: str, model_name: str, output_name: str, example_weighted: bool) -> metric_types.MetricKey:
    return metric_types.MetricKey(
        name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
    )


def _r_squared(
    name: str, eval_config: Any = None, model_name: str = "", output_name: str = "", example_weighted: bool = False
) -> metric_types.MetricComputations:
    key = _key(name, model_name, output_name, example_weighted)
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=_Squares(key, eval_config))]


def _row_count(
    name: str, eval_config: Any = None, model_name: str = "", output_name: str = "", example_weighted: bool = False
) -> metric_types.MetricComputations:
    key = _key(name, model_name, output_name, example_weighted)
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=_Rows(key, eval_config))]


def _class_metric(
    name: str,
    kind: str,
    index: int,
    eval_config: Any = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> metric_types.MetricComputations:
    sums = _key(_SUMS, model_name, output_name, example_weighted)
    key = _key(name, model_name, output_name, example_weighted)

    def result(metrics: dict[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, float]:
        values = CLASS_METRICS[kind](metrics[sums])
        if 0 <= index < len(values):
            return {key: float(values[index])}
        return {key: _least(values) if kind == "rows" else _macro(values, metrics[sums], index)}

    return [
        metric_types.MetricComputation(keys=[sums], preprocessors=None, combiner=_Classes(sums, eval_config)),
        metric_types.DerivedMetricComputation(keys=[key], result=result),
    ]


class _Combiner(beam.CombineFn):
    """Sums over rows; an accumulator is None before the first row."""

    def __init__(self, key: metric_types.MetricKey, eval_config: Any) -> None:
        self._key, self._eval_config = key, eval_config

    def create_accumulator(self) -> Any:
        return None

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        filled = [each for each in accumulators if each is not None]
        return sum(filled[1:], filled[0]) if filled else None

    def _rows(self, inputs: metric_types.StandardMetricInputs) -> Iterator[tuple[Floats, Floats, float]]:
        found = metric_util.to_label_prediction_example_weight(
            inputs,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            example_weighted=self._key.example_weighted,
            flatten=False,
            squeeze=False,
        )
        for label, prediction, weight in found:
            yield np.ravel(label), np.ravel(prediction), float(np.ravel(weight)[0])


class _Squares(_Combiner):
    """What R2 needs: `_Moments` of the rows."""

    def add_input(self, accumulator: Any, inputs: metric_types.StandardMetricInputs) -> Any:
        for label, prediction, weight in self._rows(inputs):
            accumulator = _Moments.of_row(float(label[0]), float(prediction[0]), weight) + accumulator
        return accumulator

    def extract_output(self, accumulator: Any) -> dict[metric_types.MetricKey, float]:
        return {self._key: float("nan") if accumulator is None else accumulator.r_squared()}


class _Moments:
    """Weight, mean label, squared deviation from it, squared error; merged by Chan's formula, which keeps the digits of
    large labels that vary little."""

    __slots__ = ("deviation", "error", "mean", "weight")

    def __init__(self, weight: float, mean: float, deviation: float, error: float) -> None:
        self.weight, self.mean, self.deviation, self.error = weight, mean, deviation, error

    @classmethod
    def of_row(cls, label: float, prediction: float, weight: float) -> _Moments:
        return cls(weight, label, 0.0, weight * (label - prediction) ** 2)

    def __add__(self, other: _Moments | None) -> _Moments:
        if other is None:
            return self
        weight = self.weight + other.weight
        apart = other.mean - self.mean
        share = other.weight / weight if weight else 0.0
        deviation = self.deviation + other.deviation + apart**2 * self.weight * share
        return _Moments(weight, self.mean + apart * share, deviation, self.error + other.error)

    def r_squared(self) -> float:
        return 1 - self.error / self.deviation if self.deviation > 0 else float("nan")


class _Rows(_Combiner):
    def add_input(self, accumulator: Any, inputs: metric_types.StandardMetricInputs) -> Any:
        return (accumulator or 0) + sum(1 for _ in self._rows(inputs))

    def extract_output(self, accumulator: Any) -> dict[metric_types.MetricKey, float]:
        return {self._key: float(accumulator or 0)}


class ClassSums:
    """What the metrics of a slice's classes derive from; weights are 1 where rows have none.

    Attributes:
        own: float64 `[classes]`: rows of each class.
        decided: float64 `[classes]`: rows decided for it.
        hits: float64 `[classes]`: both.
        scores: For each class its own rows and the others by the score that the class got.
    """

    def __init__(self, classes: int) -> None:
        self.own, self.decided, self.hits = np.zeros(classes), np.zeros(classes), np.zeros(classes)
        most = max(_MOST_SCORES // max(classes, 1), 20_000)
        self.scores = [ScoreCounts(most) for _ in range(classes)]
        self._pending: list[tuple[int, Floats, float]] = []

    def add(self, label: int, scores: Floats, weight: float) -> None:
        self._pending.append((label, scores, weight))
        if len(self._pending) >= _PENDING:
            self.fold()

    def fold(self) -> ClassSums:
        """Takes the rows that were only noted into the sums."""
        if self._pending:
            labels = np.array([label for label, _, _ in self._pending])
            scores = np.stack([scores for _, scores, _ in self._pending])
            weights = np.array([weight for _, _, weight in self._pending])
            self._pending = []
            decided = scores.argmax(axis=1)
            for index, counts in enumerate(self.scores):
                own = np.where(labels == index, weights, 0.0)
                self.own[index] += own.sum()
                self.decided[index] += weights[decided == index].sum()
                self.hits[index] += own[decided == index].sum()
                counts.add(scores[:, index], own, np.where(labels == index, 0.0, weights))
        return self

    def __add__(self, other: ClassSums) -> ClassSums:
        self.fold()
        other.fold()
        for index, counts in enumerate(other.scores):
            self.scores[index].merge(counts)
        self.own, self.decided, self.hits = self.own + other.own, self.decided + other.decided, self.hits + other.hits
        return self


class _Classes(_Combiner):
    """`ClassSums` of the rows."""

    def add_input(self, accumulator: Any, inputs: metric_types.StandardMetricInputs) -> Any:
        for label, scores, weight in self._rows(inputs):
            accumulator = ClassSums(len(scores)) if accumulator is None else accumulator
            accumulator.add(int(label[0]), np.asarray(scores, np.float64), weight)
        return accumulator

    def compact(self, accumulator: Any) -> Any:
        return accumulator if accumulator is None else accumulator.fold()

    def extract_output(self, accumulator: Any) -> dict[metric_types.MetricKey, Any]:
        return {self._key: ClassSums(0) if accumulator is None else accumulator.fold()}


def _macro(values: Floats, sums: ClassSums, index: int) -> float:
    """The mean over the classes that occur; NaN for a class that the model does not have."""
    known = values[(sums.own > 0) & np.isfinite(values)] if index < 0 else values[:0]
    return float(np.mean(known)) if len(known) else float("nan")


def _least(values: Floats) -> float:
    return float(values.min()) if len(values) else 0.0


def _precision(sums: ClassSums) -> Floats:
    """0 for a class that is never decided for, as in scikit-learn; NaN where it does not occur either."""
    values = ratio(sums.hits, sums.decided)
    return np.where((sums.decided == 0) & (sums.own > 0), 0.0, values)


def _recall(sums: ClassSums) -> Floats:
    return ratio(sums.hits, sums.own)


def _f1(sums: ClassSums) -> Floats:
    return ratio(2 * sums.hits, sums.own + sums.decided)


def _auc(sums: ClassSums) -> Floats:
    """Of each class against the others, exact."""
    return np.array([float(area_under_roc(counts.own, counts.others)) for counts in sums.scores])


CLASS_METRICS: dict[str, Callable[[ClassSums], Floats]] = {
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "auc": _auc,
    "rows": lambda sums: sums.own,
}
"""From the sums of a slice to one value a class."""
