"""Keras layers of the built-in model, usable in a user's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

_SEED: ContextVar[tf.Tensor | None] = ContextVar("seed", default=None)


@contextlib.contextmanager
def set_step_seed(seed: tf.Tensor) -> Iterator[None]:
    """Within it, `Dropout` draws from `seed`, int32 `[2]`, so that a resumed step draws what the lost one drew."""
    token = _SEED.set(seed)
    try:
        yield
    finally:
        _SEED.reset(token)


@tf_keras.utils.register_keras_serializable("taxiway")
class Dropout(tf_keras.layers.Layer):
    """Dropout whose mask is a function of the training step, not of hidden state.

    Args:
        rate: Share of the values set to 0; the other values are divided by `1 - rate`.
        salt: A number that tells the layers of one model apart.
    """

    def __init__(self, rate: float, salt: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.salt = rate, salt

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training or not self.rate:
            return inputs
        seed = _SEED.get()
        if seed is None:  # outside our loop, such as in a user's own `fit`
            seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
        keep = tf.random.stateless_uniform(tf.shape(inputs), seed + tf.constant([0, self.salt])) >= self.rate
        return tf.where(keep, inputs / tf.cast(1.0 - self.rate, inputs.dtype), tf.zeros_like(inputs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "salt": self.salt}


@tf_keras.utils.register_keras_serializable("taxiway")
class OffsetEmbedding(tf_keras.layers.Layer):
    """One table for all categorical features: one look-up where a table each would be many.

    Input: integers `[batch, positions]`, feature after feature; ids of feature `f` in `[0, rows[f])`, whatever the
    position; ids out of range are clipped into it. Output: `[batch, positions * dim]`.

    Args:
        rows: The number of ids of each feature.
        dim: Numbers behind each id.
        sizes: The number of positions of each feature; one each by default.
        zeros: Whether the table starts with zeros.
    """

    def __init__(
        self, rows: Sequence[int], dim: int, sizes: Sequence[int] = (), zeros: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rows, self.dim, self.zeros = [int(r) for r in rows], dim, zeros
        self.sizes = [int(size) for size in sizes] or [1] * len(self.rows)

    def build(self, input_shape: Any) -> None:
        initializer = "zeros" if self.zeros else tf_keras.initializers.RandomUniform(-0.05, 0.05)
        self.table = self.add_weight("embeddings", shape=[sum(self.rows), self.dim], initializer=initializer)
        super().build(input_shape)

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        offsets = np.repeat(np.concatenate([[0], np.cumsum(self.rows)[:-1]]), self.sizes)
        ids = tf.clip_by_value(ids, 0, tf.constant(np.repeat(self.rows, self.sizes) - 1, ids.dtype))
        vectors = tf.nn.embedding_lookup(self.table, ids + tf.constant(offsets, ids.dtype))
        return tf.reshape(vectors, [-1, sum(self.sizes) * self.dim])

    def get_config(self) -> dict[str, Any]:
        own = {"rows": self.rows, "dim": self.dim, "sizes": self.sizes, "zeros": self.zeros}
        return {**super().get_config(), **own}


@tf_keras.utils.register_keras_serializable("taxiway")
class Clip(tf_keras.layers.Layer):
    """Limits numbers to plus or minus `limit`; NaN passes, so that the loop can name the feature."""

    def __init__(self, limit: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = limit

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(inputs, -self.limit, self.limit)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "limit": self.limit}


@tf_keras.utils.register_keras_serializable("taxiway")
class Affine(tf_keras.layers.Layer):
    """`inputs * scale + mean`: a regression's outputs in the label's own unit."""

    def __init__(self, mean: float, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean, self.scale = mean, scale

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * self.scale + self.mean

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "scale": self.scale}


@tf_keras.utils.register_keras_serializable("taxiway")
class Shift(tf_keras.layers.Layer):
    """Adds a learned number to each of `units` logits."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.bias = self.add_weight("bias", shape=[self.units], initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
