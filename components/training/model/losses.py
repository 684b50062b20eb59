"""Losses, one number a row: the loop sums them and divides by the true global weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import tensorflow as tf

from taxiway.components.contract import Task
from taxiway.components.errors import ConfigError

RowLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""`(logits [batch, units], labels [batch]) -> float32 [batch]`."""


RegressionLoss = Literal["squared", "huber"]


def build_row_loss(
    task: Task,
    label_smoothing: float = 0.0,
    label_scale: float = 1.0,
    regression_loss: RegressionLoss = "squared",
) -> RowLoss:
    """The task's loss: log loss in nats, or the squared error in units of the label's scale.

    Args:
        task: The task.
        label_smoothing: Share of the label's mass spread evenly over the classes; classifiers only.
        label_scale: The label's standard deviation; regressions only.
        regression_loss: `huber` grows linearly, not squared, beyond one standard deviation (Huber, 1964).

    The loss also takes the logits of an ensemble, `[batch, members, units]`: then it is the mean over the members.
    """
    single = (
        _build_regression_loss(label_scale, regression_loss)
        if task == "regression"
        else _build_classifier_loss(task, label_smoothing)
    )

    def compute_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        if logits.shape.rank != 3:
            return single(logits, labels)
        members, units = logits.shape[1:]
        losses = single(tf.reshape(logits, [-1, units]), tf.repeat(labels, members))
        return tf.reduce_mean(tf.reshape(losses, [-1, members]), axis=1)

    return compute_loss


def _build_regression_loss(label_scale: float, kind: RegressionLoss) -> RowLoss:
    def compute_squared(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return tf.square((logits[:, 0] - tf.cast(labels, tf.float32)) / label_scale)

    def compute_huber(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        distance = tf.abs(logits[:, 0] - tf.cast(labels, tf.float32)) / label_scale
        return tf.where(distance <= 1.0, tf.square(distance), 2.0 * distance - 1.0)

    return compute_huber if kind == "huber" else compute_squared


def _build_classifier_loss(task: Task, label_smoothing: float) -> RowLoss:
    if task == "binary":
        return lambda logits, labels: tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(labels, tf.float32) * (1 - label_smoothing) + 0.5 * label_smoothing, logits[:, 0]
        )
    return lambda logits, labels: _compute_softmax_loss(logits, labels, label_smoothing)


def _compute_softmax_loss(logits: tf.Tensor, labels: tf.Tensor, smoothing: float) -> tf.Tensor:
    true = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits)
    if not smoothing:
        return true
    every = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_mean(logits, axis=1)  # mean over the classes of -log p
    return (1 - smoothing) * true + smoothing * every


def compute_class_weights(
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
