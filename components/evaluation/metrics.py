"""Metrics that TFMA lacks, as TFMA's own extension: R2, and what is asked class by class of a multiclass model.

TFMA's `R2Score` comes from Keras and fails on the signatures' outputs; its binarized metrics need the number of classes
and report a macro average apart from the thresholds. All of the classes' metrics here derive from one pass of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray
from tensorflow_model_analysis.metrics import metric_types, metric_util

Floats = NDArray[np.float64]
_SUMS = "_taxiway_class_sums"  # TFMA keeps names that begin so to itself


class RSquared(metric_types.Metric):
    """The coefficient of determination: 1 - squared error / squared deviation from the mean label.

    NaN where the labels of a slice do not vary.
    """

    def __init__(self, name: str = "r2") -> None:
        super().__init__(metric_util.merge_per_key_computations(_r_squared), name=name)


class ClassMetric(metric_types.Metric):
    """Precision, recall, F1 or the area under the ROC curve of one class against the others, or their macro average.

    Args:
        name: Under which it is reported.
        kind: `precision`, `recall`, `f1` or `auc`.
        index: Of the class; -1 for the mean over the classes that occur among a slice's labels.
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
        return {key: float(values[index]) if 0 <= index < len(values) else _macro(values, metrics[sums], index)}

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


class _Classes(_Combiner):
    """float64 `[classes, 3 + 2 * bins]`: rows of the class, rows decided for it, both; then two histograms of its
    score, over rows of the class and over the others."""

    def add_input(self, accumulator: Any, inputs: metric_types.StandardMetricInputs) -> Any:
        for label, scores, weight in self._rows(inputs):
            classes, actual = len(scores), int(label[0])
            bins = _bins(classes)
            if accumulator is None:
                accumulator = np.zeros((classes, 3 + 2 * bins))
            decided = int(np.argmax(scores))
            accumulator[actual, 0] += weight
            accumulator[decided, 1] += weight
            accumulator[decided, 2] += weight * (actual == decided)
            column = 3 + np.clip((scores * bins).astype(np.int64), 0, bins - 1)
            column[np.arange(classes) != actual] += bins
            accumulator[np.arange(classes), column] += weight
        return accumulator

    def extract_output(self, accumulator: Any) -> dict[metric_types.MetricKey, Any]:
        return {self._key: np.zeros((0, 3)) if accumulator is None else accumulator}


def _bins(classes: int) -> int:
    """Bins of each class's scores: an AUC's error is below 1 / bins; many classes share the memory."""
    return int(np.clip(20_000 // classes, 100, 2_000))


def _macro(values: Floats, sums: Floats, index: int) -> float:
    """The mean over the classes that occur; NaN for a class that the model does not have."""
    known = values[(sums[:, 0] > 0) & np.isfinite(values)] if index < 0 else values[:0]
    return float(np.mean(known)) if len(known) else float("nan")


def _precision(sums: Floats) -> Floats:
    """0 for a class that is never decided for, as in scikit-learn; NaN where it does not occur either."""
    values = _ratio(sums[:, 2], sums[:, 1])
    return np.where((sums[:, 1] == 0) & (sums[:, 0] > 0), 0.0, values)


def _recall(sums: Floats) -> Floats:
    return _ratio(sums[:, 2], sums[:, 0])


def _f1(sums: Floats) -> Floats:
    return _ratio(2 * sums[:, 2], sums[:, 0] + sums[:, 1])


def _auc(sums: Floats) -> Floats:
    own, others = np.split(sums[:, 3:], 2, axis=1)
    return area_under_roc(own, others)


def area_under_roc(own: Floats, others: Floats) -> Floats:
    """Mann and Whitney's statistic along the last axis: the chance that a row of the class scores above another one.

    Args:
        own: Rows of the class by ascending score or bin.
        others: The other rows, likewise; those of the same score count half.

    Returns:
        NaN where one side has no row.
    """
    below = np.cumsum(others, axis=-1) - others
    return _ratio((own * (below + others / 2)).sum(axis=-1), own.sum(axis=-1) * others.sum(axis=-1))


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


CLASS_METRICS: dict[str, Callable[[Floats], Floats]] = {
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "auc": _auc,
}
"""From the sums of `_Classes` to one value a class."""
