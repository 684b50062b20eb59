"""Metrics from batches of rows, inside TFMA's extension points: the one mechanism behind all our metrics.

TFMA's own metrics read label and score of a row once a metric, slice and model, in Python. Here a metric is a function
of sums; the sums of a model and slice are one computation that all its metrics share, and NumPy adds thousands of rows
to them at once (`docs/decisions/0011-binary-metrics.md`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from taxiway.components.metrics.curve_areas import Floats

PENDING_SCORES = 1 << 16
"""So many scores are gathered before they are added: a slice's part of a batch may be a few rows, and sums over
distinct scores are sorted whenever rows are added."""
RowBatch = dict[str, tuple[Floats, Floats]]
"""By model: labels float64 `[rows]` and scores float64 `[rows, classes]`, or `[rows, 1]` where there is one a row."""


class RowBatches(metric_types.Preprocessor):
    """From extracts to a `RowBatch`: ours hold the rows of a batch that are in one slice, TFMA's hold one row."""

    def __init__(self, eval_config: Any, name: str = "taxiway_row_batches") -> None:
        super().__init__(name=name)  # by which TFMA tells the computations of the same sums from others
        self._outputs = name_outputs(eval_config)

    def process(self, extracts: Mapping[str, Any]) -> Iterator[RowBatch]:
        yield {model: self._read_rows(extracts, model, output) for model, output in self._outputs.items()}

    def _read_rows(self, extracts: Mapping[str, Any], model: str, output: str) -> tuple[Floats, Floats]:
        labels = np.asarray(unwrap_key(extracts["labels"], model), np.float64).reshape(-1)
        scores = unwrap_key(unwrap_key(extracts["predictions"], model), output)
        return labels, np.asarray(scores, np.float64).reshape(len(labels), -1)


def name_outputs(eval_config: Any) -> dict[str, str]:
    """The output with the scores by model. TFMA leaves a single model's name out."""
    specs = eval_config.model_specs if eval_config else ()
    names = [spec.name for spec in specs] if len(specs) > 1 else [""]
    return dict(zip(names, [spec.prediction_key for spec in specs] or [""], strict=True))


def unwrap_key(value: Any, key: str) -> Any:
    """What TFMA has of a model or an output: it keys labels and predictions by them only where there are several."""
    return value[key] if isinstance(value, dict) else value


class RowSums(ABC):
    """Sums over the rows of a slice, from which its metrics are computed. Rows are gathered, then added together."""

    def __init__(self) -> None:
        self._pending: list[tuple[Floats, Floats]] = []
        self._pending_scores = 0

    def add_rows(self, labels: Floats, scores: Floats) -> None:
        """Adds rows: labels `[rows]`, scores `[rows, classes]` or `[rows, 1]`."""
        self._pending.append((labels, scores))
        self._pending_scores += scores.size
        if self._pending_scores >= PENDING_SCORES:
            self.fold_pending()

    def fold_pending(self: Sums) -> Sums:
        """Brings the gathered rows into the sums."""
        pending, self._pending, self._pending_scores = self._pending, [], 0
        if pending:
            self.add_to_sums(
                np.concatenate([labels for labels, _ in pending]), np.concatenate([scores for _, scores in pending])
            )
        return self

    def merge_sums(self: Sums, other: Sums) -> None:
        """Adds the sums of other rows."""
        self.fold_pending()
        self.merge_folded(other.fold_pending())

    @abstractmethod
    def add_to_sums(self, labels: Floats, scores: Floats) -> None:
        """Adds at least one row to the sums, shapes as in `add_rows`."""

    @abstractmethod
    def merge_folded(self: Sums, other: Sums) -> None:
        """Adds other sums; neither side has gathered rows."""


Sums = TypeVar("Sums", bound=RowSums)


class _SumsCombiner(beam.CombineFn):
    def __init__(self, key: metric_types.MetricKey, make_sums: Callable[[], RowSums]) -> None:
        self._key, self._make_sums = key, make_sums

    def create_accumulator(self) -> RowSums:
        return self._make_sums()

    def add_input(self, accumulator: RowSums, batch: RowBatch) -> RowSums:
        accumulator.add_rows(*batch[self._key.model_name])
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[RowSums]) -> RowSums:
        whole = self._make_sums()
        for each in accumulators:
            whole.merge_sums(each)
        return whole

    def compact(self, accumulator: RowSums) -> RowSums:
        return accumulator.fold_pending()

    def extract_output(self, accumulator: RowSums) -> dict[metric_types.MetricKey, RowSums]:
        return {self._key: accumulator.fold_pending()}


class SumsMetric(metric_types.Metric):
    """A metric that is a function of sums; a subclass says of which.

    Args:
        name: Name under which it is reported.
        make_sums: Class of the sums: metrics with the same one share them.
        made_with: By model, the argument of its sums; without an entry they have none.
        batches: Class of what hands the rows to the sums.
        compute: From a slice's sums to the value; NaN where it is not defined.
        arguments: What TFMA writes of the metric into its configuration, beside the name.
    """

    def __init__(
        self,
        name: str,
        make_sums: type[RowSums],
        compute: Callable[[Any], float],
        made_with: Mapping[str, float] | None = None,
        batches: type[RowBatches] = RowBatches,
        **arguments: Any,
    ) -> None:
        def build_computations(
            name: str, eval_config: Any = None, model_name: str = "", output_name: str = "", **_: Any
        ) -> metric_types.MetricComputations:
            sums = metric_types.MetricKey(
                # TFMA keeps names that begin so to itself
                name=f"_taxiway_{make_sums.__name__}", model_name=model_name, output_name=output_name
            )  # fmt: skip
            make: Callable[..., RowSums] = make_sums
            if model_name in (made_with or {}):
                make = partial(make, (made_with or {})[model_name])
            combiner = _SumsCombiner(sums, make)
            key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)
            return [
                metric_types.MetricComputation(keys=[sums], preprocessors=[batches(eval_config)], combiner=combiner),
                metric_types.DerivedMetricComputation(
                    keys=[key], result=lambda metrics: {key: float(compute(metrics[sums]))}
                ),
            ]

        super().__init__(metric_util.merge_per_key_computations(build_computations), name=name, **arguments)
        self.make_sums, self.compute, self.made_with = make_sums, compute, made_with
