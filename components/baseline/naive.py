"""The naive model, to be beaten where no model is live: it answers every row with the label's distribution or mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.contract import EXAMPLES_INPUT, SERVING_DEFAULT, Task, score_output
from taxiway.components.errors import DataError


def compute_scores(statistics: Any, label: str, task: Task) -> np.ndarray:
    """What the naive model answers to every row, from the training split's statistics.

    Args:
        statistics: TFDV's `DatasetFeatureStatisticsList` of the training split.
        label: The label's column: an int64 class index, or a number for a regression.
        task: `binary`, `multiclass` or `regression`.

    Returns:
        float32: `[1]`, the positive share or the mean; `[classes]`, the share of each class.

    Raises:
        DataError: The label is not there, or not of the task's kind.
    """
    feature = _find_label_statistics(statistics, label)
    if task == "multiclass":
        return compute_class_shares(feature)
    if feature.WhichOneof("stats") == "num_stats":
        return np.array([feature.num_stats.mean], np.float32)
    if task == "binary":
        return compute_class_shares(feature)[1:2]
    raise DataError(f"The label {label!r} of a regression holds no numbers.", "Correct label.column or label.task.")


def _find_label_statistics(statistics: Any, label: str) -> Any:
    for dataset in statistics.datasets:
        for feature in dataset.features:
            if label in (feature.name, ".".join(feature.path.step)):
                return feature
    raise DataError(f"The statistics have no column {label!r}.", "Correct label.column.")


def compute_class_shares(feature: Any) -> np.ndarray:
    """The share of each class index, float32 `[largest index + 1]`.

    Exact for categorical statistics and for up to as many classes as the histogram has buckets; beyond that the rows
    of a bucket count in equal parts for the classes within it.
    """
    if feature.WhichOneof("stats") == "string_stats":
        buckets = [(b.label, b.sample_count) for b in feature.string_stats.rank_histogram.buckets]
        counts = {int(index): count for index, count in buckets}
    else:
        counts = _count_from_histogram(feature.num_stats)
    shares = np.zeros(max(counts, default=1) + 1, np.float64)
    for index, count in counts.items():
        shares[index] += count
    return (shares / max(shares.sum(), 1)).astype(np.float32)


def _count_from_histogram(stats: Any) -> dict[int, float]:
    counts: dict[int, float] = dict.fromkeys(range(int(stats.max) + 1), 0.0)
    for number, bucket in enumerate(stats.histograms[0].buckets):
        last = number == len(stats.histograms[0].buckets) - 1
        within = [i for i in counts if bucket.low_value <= i < bucket.high_value or (last and i == bucket.high_value)]
        for index in within:
            counts[index] += bucket.sample_count / len(within)
    return counts


def save_model(answer: np.ndarray, task: Task, folder: str | Path) -> None:
    """Writes a SavedModel whose `serving_default` answers `answer` to every row.

    Args:
        answer: The answer, float32 `[k]`.
        task: The task, which names the output, float32 `[batch, k]`.
        folder: The folder to write; it must not exist.
    """
    output = score_output(task)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES_INPUT)])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {output: tf.tile(tf.constant(answer[None, :], tf.float32), [tf.size(examples), 1])}

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={SERVING_DEFAULT: serve})
