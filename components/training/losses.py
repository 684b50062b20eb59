"""Losses, one number a row: the loop sums them and divides by the true global weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from components.contract import Task
from components.errors import ConfigError

RowLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""`(logits [batch, units], labels [batch]) -> float32 [batch]`."""


def row_loss(task: Task, label_smoothing: float = 0.0, label_scale: float = 1.0) -> RowLoss:
    """The task's loss: log loss in nats, or the squared error in units of the label's scale.

    Args:
        task: Which.
        label_smoothing: Share of the label's mass spread evenly over the classes; classifiers only.
        label_scale: The label's standard deviation; regressions only.
    """
    if task == "regression":
        return lambda logits, labels: tf.square((logits[:, 0] - tf.cast(labels, tf.float32)) / label_scale)
    if task == "binary":
        return lambda logits, labels: tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(labels, tf.float32) * (1 - label_smoothing) + 0.5 * label_smoothing, logits[:, 0]
        )
    return lambda logits, labels: _softmax(logits, labels, label_smoothing)


def _softmax(logits: tf.Tensor, labels: tf.Tensor, smoothing: float) -> tf.Tensor:
    true = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits)
    if not smoothing:
        return true
    every = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_mean(logits, axis=1)  # mean over the classes of -log p
    return (1 - smoothing) * true + smoothing * every


def class_weight_list(
    setting: dict[str, float] | str, counts: Sequence[float], class_labels: Sequence[str]
) -> list[float] | None:
    """The weight of each class, or None where all weigh 1.

    Args:
        setting: `training.class_weights`.
        counts: Rows (or their weights) of each class in the training split.
        class_labels: Labels by class index, where known.

    Raises:
        ConfigError: a key names no class.
    """
    if setting == "none":
        return None
    if isinstance(setting, str):  # balanced: each class weighs the same in all, and the mean weight is 1
        present = sum(1 for c in counts if c)
        return [sum(counts) / (present * c) if c else 0.0 for c in counts]
    names = [str(name) for name in class_labels] or [str(i) for i in range(len(counts))]
    for key in setting:
        if key not in names:
            raise ConfigError(
                f"training.class_weights names the class {key!r}, which is none.", f"Classes: {', '.join(names)}."
            )
    return [float(setting.get(name, 1.0)) for name in names]
