"""Error and latency on test rows, alike for every model of `taxiway bench quality`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from taxiway.components.contract import Task
from taxiway.components.metrics.curve_areas import compute_roc_auc, count_by_score

LATENCY_ROWS = (1, 32)
_CALLS, _WARM_UP = 60, 5


def compute_error(task: Task, truth: np.ndarray, scores: np.ndarray) -> float:
    """1 - AUC, 1 - accuracy, or the RMSE over the label's standard deviation.

    Args:
        task: The task.
        truth: `[rows]`: class index, or value.
        scores: `[rows]`: score of class 1, or value; `[rows, classes]` for `multiclass`.
    """
    if task == "binary":
        return 1 - float(compute_roc_auc(*count_by_score(truth.astype(bool), scores)))
    if task == "multiclass":
        return float(np.mean(scores.argmax(axis=1) != truth))
    return float(np.sqrt(np.mean((scores - truth) ** 2)) / np.std(truth))


def measure_latency(predict: Callable[[Any], Any], batches: Callable[[int, int], Any]) -> dict[str, float]:
    """Median milliseconds of a call, by rows of a batch.

    Args:
        predict: The model's own way to predict a batch.
        batches: The batch of so many rows that begins at a row; it is made before the clock starts.
    """
    return {str(rows): _time_calls(predict, [batches(i * rows, rows) for i in range(8)]) for rows in LATENCY_ROWS}


def _time_calls(predict: Callable[[Any], Any], given: Sequence[Any]) -> float:
    seconds = []
    for i in range(_WARM_UP + _CALLS):
        batch = given[i % len(given)]
        started = time.perf_counter()
        predict(batch)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[_WARM_UP:]) * 1e3
