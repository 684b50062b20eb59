"""The metrics of a binary model, as TFMA's own extension: all of them from one pass over a slice's scores.

TFMA's own classes read label and score of a row once a metric, slice and model, at some 0.2 ms each: of the Evaluator's
time on the taxi data three quarters. Here a preprocessor reads them once a row, and NumPy does the rest
(`docs/decisions/0011-binary-metrics.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from components.measures.areas import Floats, area_under_roc, average_precision, ratio
from components.measures.counts import ScoreCounts
from components.measures.weighted import EPSILON

_SCORES = "_taxiway_scores"  # TFMA keeps names that begin so to itself
_PENDING = 8192


class BinaryMetric(metric_types.Metric):
    """One metric of a model that gives the probability of the positive class.

    Args:
        name: Under which it is reported.
        kind: A key of `BINARY_METRICS`.
    """

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(metric_util.merge_per_key_computations(_binary_metric), name=name, kind=kind)


def _binary_metric(
    name: str, kind: str, eval_config: Any = None, model_name: str = "", output_name: str = ""
) -> metric_types.MetricComputations:
    scores = metric_types.MetricKey(name=_SCORES, model_name=model_name, output_name=output_name)
    key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)

    def result(metrics: dict[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, float]:
        return {key: BINARY_METRICS[kind](metrics[scores])}

    return [
        metric_types.MetricComputation(
            keys=[scores], preprocessors=[_LabelAndScores(eval_config)], combiner=_Scores(scores)
        ),
        metric_types.DerivedMetricComputation(keys=[key], result=result),
    ]


class _LabelAndScores(metric_types.Preprocessor):
    """From a row's extracts to its label and score by model: `{model: (label, score)}`."""

    def __init__(self, eval_config: Any) -> None:
        super().__init__(name="taxiway_label_and_scores")
        specs = eval_config.model_specs if eval_config else ()
        # TFMA leaves a single model's name out.
        names = [spec.name for spec in specs] if len(specs) > 1 else [""]
        self._keys = dict(zip(names, [spec.prediction_key for spec in specs] or [""], strict=True))

    def process(self, extracts: Mapping[str, Any]) -> Iterator[dict[str, tuple[float, float]]]:
        labels, predictions = extracts["labels"], extracts["predictions"]
        yield {
            model: (_number(_of(labels, model)), _number(_of(_of(predictions, model), output)))
            for model, output in self._keys.items()
        }


def _of(value: Any, key: str) -> Any:
    """TFMA keys labels and predictions by model and by output only where there are several."""
    return value[key] if isinstance(value, dict) else value


def _number(value: Any) -> float:
    return float(np.asarray(value).reshape(-1)[0])


class Scores:
    """What the metrics of a slice derive from.

    Attributes:
        counts: Rows of the positive class and the others by score.
        log_loss: Sum over the rows.
        correct: Rows decided right at 0.5.
        total: Sum of the scores; NaN where one is.
    """

    def __init__(self) -> None:
        self.counts = ScoreCounts()
        self.log_loss = self.correct = self.total = 0.0
        self._labels: list[float] = []
        self._scores: list[float] = []

    @property
    def positives(self) -> float:
        return float(self.counts.own.sum())

    @property
    def negatives(self) -> float:
        return float(self.counts.others.sum())

    @property
    def rows(self) -> float:
        return self.positives + self.negatives

    def add(self, label: float, score: float) -> None:
        self._labels.append(label)
        self._scores.append(score)
        if len(self._labels) >= _PENDING:
            self.fold()

    def fold(self) -> Scores:
        """Takes the rows that were only noted into the sums."""
        if self._labels:
            label, score = np.asarray(self._labels), np.asarray(self._scores)
            self._labels, self._scores = [], []
            likelihood = np.clip(np.where(label > 0.5, score, 1 - score), EPSILON, 1)
            self.log_loss -= float(np.log(likelihood).sum())
            self.correct += float(((score > 0.5) == (label > 0.5)).sum())
            self.total += float(score.sum())
            positive = (label > 0.5).astype(np.float64)
            self.counts.add(score, positive, 1 - positive)
        return self

    def merge(self, other: Scores) -> None:
        other.fold()
        self.log_loss += other.log_loss
        self.correct += other.correct
        self.total += other.total
        self.counts.merge(other.counts)


class _Scores(beam.CombineFn):
    def __init__(self, key: metric_types.MetricKey) -> None:
        self._key = key

    def create_accumulator(self) -> Scores:
        return Scores()

    def add_input(self, accumulator: Scores, row: Mapping[str, tuple[float, float]]) -> Scores:
        accumulator.add(*row[self._key.model_name])
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Scores]) -> Scores:
        whole = Scores()
        for each in accumulators:
            whole.merge(each)
        return whole

    def compact(self, accumulator: Scores) -> Scores:
        return accumulator.fold()

    def extract_output(self, accumulator: Scores) -> dict[metric_types.MetricKey, Scores]:
        return {self._key: accumulator.fold()}


def _if_numbers(area: Callable[[Floats, Floats], Floats]) -> Callable[[Scores], float]:
    """NaN for a model that gave one: it has no rank among the scores."""

    def metric(scores: Scores) -> float:
        return float(area(scores.counts.own, scores.counts.others)) if np.isfinite(scores.total) else float("nan")

    return metric


BINARY_METRICS: dict[str, Callable[[Scores], float]] = {
    "auc": _if_numbers(area_under_roc),
    "pr_auc": _if_numbers(average_precision),
    "log_loss": lambda scores: float(ratio(scores.log_loss, scores.rows)),
    "accuracy": lambda scores: float(ratio(scores.correct, scores.rows)),
    "calibration": lambda scores: float(ratio(scores.total, scores.positives)),
    "positives": lambda scores: scores.positives,
    "judged_rows": lambda scores: min(scores.positives, scores.negatives),
}
"""From a slice's scores to a value; NaN where it is not defined, such as the AUC of a single class. TFMA fails a
threshold on NaN."""
