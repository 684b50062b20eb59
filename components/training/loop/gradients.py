"""Adds, divides and clips gradients, whether dense or of some rows (`tf.IndexedSlices`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.training.config import ClipConfig

DENSE_GRADIENT_LIMIT = 1 << 20
"""Elements of an embedding table up to which its gradient is made dense: one fused update, one plain all-reduce."""


def densify_gradient(gradient: Any) -> Any:
    """The gradient of a small table as a dense tensor; others as they are."""
    if isinstance(gradient, tf.IndexedSlices) and gradient.dense_shape is not None:
        shape = tf.get_static_value(gradient.dense_shape)
        if shape is not None and np.prod(shape, dtype=np.int64) <= DENSE_GRADIENT_LIMIT:
            return tf.convert_to_tensor(gradient)
    return gradient


def add_sums(one: tuple[list[Any], Any, Any], other: tuple[list[Any], Any, Any]) -> tuple[list[Any], Any, Any]:
    """Two parts' gradients, losses and weights, each added up."""
    gradients = [_add_gradients(a, b) for a, b in zip(one[0], other[0], strict=True)]
    return gradients, one[1] + other[1], one[2] + other[2]


def _add_gradients(one: Any, other: Any) -> Any:
    if not isinstance(one, tf.IndexedSlices):
        return one + other
    return tf.IndexedSlices(
        tf.concat([one.values, other.values], 0), tf.concat([one.indices, other.indices], 0), one.dense_shape
    )


def divide_gradient(gradient: Any, by: tf.Tensor) -> Any:
    """The gradient divided by a scalar."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values / by, gradient.indices, gradient.dense_shape)
    return gradient / by


def clip_gradients(config: ClipConfig, gradients: list[Any], norm: tf.Tensor) -> list[Any]:
    """The gradients within the limit of `training.clip`; `norm` is their global norm."""
    if config.by == "none":
        return gradients
    if config.by == "global_norm":
        return tf.clip_by_global_norm(gradients, config.limit, norm)[0]
    if config.by == "norm":
        return [tf.clip_by_norm(g, config.limit) for g in gradients]
    return [tf.clip_by_value(g, -config.limit, config.limit) for g in gradients]
