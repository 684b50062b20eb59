"""Evaluation as sums: each replica adds up its rows, the sums are added over replicas and steps, and the metrics are
computed from the totals. So uneven shards and batches cannot skew a metric.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from taxiway.components.contract import HIGHER_IS_BETTER, Task
from taxiway.components.metrics.curve_areas import compute_average_precision, compute_roc_auc
from taxiway.components.training.model.losses import RowLoss

BINS = 8192
"""Bins of the scores from which the areas are computed while training: what a replica can add up. Their error is far
below 1 / BINS, and scores in one bin are ties; the Evaluator's areas, by the same formulas, are of the exact scores."""


def sum_batch(
    task: Task, loss: RowLoss, logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Weighted sums over a batch, float32 scalars and float32 `[BINS]`.

    Args:
        task: The task.
        loss: The row loss of the task.
        logits: float32 `[batch, units]`.
        labels: `[batch]`.
        weights: float32 `[batch]`; 0 for rows that fill up a batch.
    """
    sums = {"weight": tf.reduce_sum(weights), "loss": _compute_weighted_sum(loss(logits, labels), weights)}
    if task == "regression":
        error = logits[:, 0] - tf.cast(labels, tf.float32)
        return sums | {
            "squared": _compute_weighted_sum(tf.square(error), weights),
            "absolute": _compute_weighted_sum(tf.abs(error), weights),
            "label": _compute_weighted_sum(labels, weights),
            "label_squared": _compute_weighted_sum(tf.square(tf.cast(labels, tf.float32)), weights),
            "prediction": _compute_weighted_sum(logits[:, 0], weights),
        }
    if task == "multiclass":
        right = tf.equal(tf.argmax(logits, axis=1), tf.cast(labels, tf.int64))
        return sums | {"right": _compute_weighted_sum(right, weights)}
    positive, score = tf.cast(labels, tf.float32), tf.sigmoid(logits[:, 0])
    bins = tf.cast(tf.clip_by_value(score * BINS, 0, BINS - 1), tf.int32)
    return sums | {
        "right": _compute_weighted_sum(tf.equal(score > 0.5, positive > 0.5), weights),
        "label": _compute_weighted_sum(positive, weights),
        "prediction": _compute_weighted_sum(score, weights),
        "positives": tf.math.unsorted_segment_sum(weights * positive, bins, BINS),
        "negatives": tf.math.unsorted_segment_sum(weights * (1 - positive), bins, BINS),
    }


def _compute_weighted_sum(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    # Where, not a product alone: a NaN in a row that only fills up a batch must not count.
    return tf.reduce_sum(tf.where(weights > 0, tf.cast(values, tf.float32) * weights, 0.0))


def compute_metrics(task: Task, sums: dict[str, np.ndarray]) -> dict[str, float]:
    """The metrics. A binary task: `loss` (nats), `auc`, `pr_auc`, `accuracy`, `calibration` (mean prediction over mean
    label). Multiclass: `loss`, `accuracy`. A regression: `loss` (scaled), `mse`, `rmse`, `mae`, `r2`, `calibration`.
    """
    total = {name: np.asarray(value, np.float64) for name, value in sums.items()}
    weight = max(float(total["weight"]), 1e-12)
    metrics = {"loss": float(total["loss"]) / weight}
    if task == "regression":
        return metrics | _build_regression_metrics(total, weight)
    metrics["accuracy"] = float(total["right"]) / weight
    if task == "binary":
        metrics["auc"], metrics["pr_auc"] = compute_areas(total["positives"], total["negatives"])
        metrics["calibration"] = _divide_safely(total["prediction"], total["label"])
    return metrics


def _build_regression_metrics(total: dict[str, np.ndarray], weight: float) -> dict[str, float]:
    mse = float(total["squared"]) / weight
    variance = float(total["label_squared"]) / weight - (float(total["label"]) / weight) ** 2
    return {
        "mse": mse,
        "rmse": mse**0.5,
        "mae": float(total["absolute"]) / weight,
        "r2": 1 - mse / variance if variance > 0 else 0.0,
        "calibration": _divide_safely(total["prediction"], total["label"]),
    }


def _divide_safely(above: np.ndarray, below: np.ndarray) -> float:
    return float(above) / float(below) if float(below) else 0.0


def compute_areas(positives: np.ndarray, negatives: np.ndarray) -> tuple[float, float]:
    """The area under the ROC curve and the average precision, from histograms over rising scores `[BINS]`.

    Rows in one bin count as ties. 0.5 and the share of positives where a class is absent.
    """
    if not positives.any() or not negatives.any():
        return 0.5, float(positives.any())
    return float(compute_roc_auc(positives, negatives)), float(compute_average_precision(positives, negatives))


def is_better(name: str, value: float, than: float | None, min_delta: float = 0.0) -> bool:
    """Whether `value` of the metric `name` improves on `than`; anything improves on None, NaN on nothing."""
    if not np.isfinite(value):
        return False
    if than is None:
        return True
    return value > than + min_delta if name in HIGHER_IS_BETTER else value < than - min_delta
