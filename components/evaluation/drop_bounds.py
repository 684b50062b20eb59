"""How much worse a model may be than its baseline on the same rows, judged as the optimizer judges its variants.

TFMA's change threshold sees the difference as it was measured. Here the bad end of the paired difference's interval is
a metric of its own beside the shown one, and has a plain upper bound.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorflow_model_analysis import constants

from taxiway.components.contract import Task
from taxiway.components.evaluation.config import check_drop_metric
from taxiway.components.evaluation.row_batches import RowBatch, RowBatches, RowSums, SumsMetric
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.quality_change import compare_quality, give_same_answers
from taxiway.components.metrics.weighted import EVEN

MOST_ROWS = 20_000
"""Rows that are compared, drawn at random where there are more: as many as the optimizer's by default."""
_MOST_SCORES = 8_000_000
_DRAWS, _SEED = 1000, 20_130_101


class DropBound(SumsMetric):
    """How much worse a metric of the candidate may be than the baseline's, at the bad end of the 95 % interval.

    A difference where more is better, a share of the baseline's value for losses and errors. As measured where both
    models give the same answers. Minus infinity, within any bound, where no interval is known: the threshold of the
    difference over all rows decides alone. 0 for the baseline itself; NaN in slices.

    Args:
        name: Name under which it is reported; see `config.name_drop_bound`.
        metric: Name of the metric.
        task: `binary`, `multiclass` or `regression`.
        thresholds: By model, the score above which a binary one decides for the positive class; the candidate's is
            taken for both, as in the optimizer.

    Raises:
        ConfigError: No interval of the metric's difference is known; before any row is read.
    """

    def __init__(self, name: str, metric: str, task: Task, thresholds: Mapping[str, float] | None = None) -> None:
        check_drop_metric(metric, task)
        threshold = (thresholds or {}).get(constants.CANDIDATE_KEY, EVEN)

        def select_value(paired: PairedRows) -> float:
            labels, scores, reference = paired.split_rows()
            return bound_drop(metric, task, labels, scores, reference, threshold)

        super().__init__(
            name, PairedRows, select_value, None, RowPairs, metric=metric, task=task, thresholds=thresholds
        )


class RowPairs(RowBatches):
    """Rows with the scores of a model and, beside them, the baseline's: `[rows, 2 * classes]`. None of single slices,
    where nothing is asked: their intervals would be drawn in vain."""

    def __init__(self, eval_config: Any) -> None:
        super().__init__(eval_config, "taxiway_row_pairs")

    def process(self, extracts: Mapping[str, Any]) -> Iterator[RowBatch]:
        slices = list(extracts.get(constants.SLICE_KEY_TYPES_KEY, ()))
        if len(slices) == 1 and len(slices[0]):
            return
        for batch in super().process(extracts):
            reference = batch[constants.BASELINE_KEY][1]
            yield {model: (labels, np.hstack([scores, reference])) for model, (labels, scores) in batch.items()}


class PairedRows(RowSums):
    """The rows themselves, at most `MOST_ROWS` of them: those with the smallest random keys."""

    def __init__(self) -> None:
        super().__init__()
        self._keys, self._rows = np.zeros(0), np.zeros((0, 0))

    def add_to_sums(self, labels: Floats, scores: Floats) -> None:
        rows = np.column_stack([labels, scores])
        # Each part of the rows has keys of its own, the same whenever and wherever it is added.
        random = np.random.default_rng([_SEED, zlib.crc32(rows.tobytes())])
        self._keep_rows(random.random(len(rows)), rows)

    def merge_folded(self, other: PairedRows) -> None:
        self._keep_rows(other._keys, other._rows)

    def _keep_rows(self, keys: NDArray[np.float64], rows: Floats) -> None:
        if len(self._keys) and len(keys):
            keys, rows = np.concatenate([self._keys, keys]), np.concatenate([self._rows, rows])
        if len(keys):
            kept = np.argsort(keys, kind="stable")[: min(MOST_ROWS, max(_MOST_SCORES // rows.shape[1], 1))]
            self._keys, self._rows = keys[kept], rows[kept]

    def split_rows(self) -> tuple[Floats, Floats, Floats]:
        """Labels `[rows]`, the model's scores and the baseline's, each `[rows, classes]`; in an order that does not
        depend on which of Beam's bundles came first."""
        rows = self._rows[np.lexsort(self._rows[:, :3].T)] if len(self._rows) else np.zeros((0, 3))
        classes = rows.shape[1] // 2
        return rows[:, 0], rows[:, 1 : 1 + classes], rows[:, 1 + classes :]


def bound_drop(
    metric: str, task: Task, labels: Floats, scores: Floats, reference: Floats, threshold: float = EVEN
) -> float:
    """How much worse the scores may be than the reference's, as `DropBound` says; shapes as `PairedRows.split_rows`
    gives them."""
    if task == "multiclass":
        known = (labels >= 0) & (labels < scores.shape[1])  # both models are as wrong on a class that they lack
        labels, scores, reference = labels[known], scores[known], reference[known]
    if not len(labels) or not np.isfinite(scores).all() or not np.isfinite(reference).all():
        return float("nan")
    if np.array_equal(scores, reference):
        return 0.0
    drop = compare_quality([metric], labels, scores, reference, _DRAWS, _SEED, threshold)[metric].drop
    if give_same_answers(task, scores, reference):
        return drop.value
    return drop.high if np.isfinite(drop.high) else -np.inf
