"""Keras layers of `kind: tabular`. They are core operations throughout: every converter of the optimizer knows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from taxiway.components.contract import Task

_register = tf_keras.utils.register_keras_serializable("taxiway")
_LEAST_SHARE = 1e-37
"""A mean probability is at least this, so that its logarithm is finite in float32."""


@_register
class Piecewise(tf_keras.layers.Layer):
    """A piecewise-linear function of each column, of `dim` numbers (arXiv:2203.05556), and a learned value where it is
    missing.

    Inputs: float32 `[batch, n]` twice: quantile positions in `[0, 1]`, and 1 where the value is missing.
    Output: float32 `[batch, n * dim]`. In float32 in mixed precision too: a bin is narrower than a step of float16.

    Args:
        bins: Quantile bins of a column.
        dim: Numbers behind each column.
    """

    def __init__(self, bins: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.bins, self.dim = bins, dim

    def build(self, input_shape: Any) -> None:
        columns, limit = input_shape[0][-1], 1 / math.sqrt(self.bins)
        uniform = tf_keras.initializers.RandomUniform(-limit, limit)
        self.projection = self.add_weight("projection", [self.bins, columns, self.dim], initializer=uniform)
        self.absent = self.add_weight("absent", [columns, self.dim], initializer="zeros")
        self.bias = self.add_weight("bias", [columns, self.dim], initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        position, missing = inputs
        values = self._multiply_steps(position) if training else self._look_up_pieces(position)
        values = tf.nn.relu(values + tf.expand_dims(missing, 2) * self.absent)
        return tf.reshape(values, [-1, self.absent.shape[0] * self.dim])

    def _multiply_steps(self, position: tf.Tensor) -> tf.Tensor:
        """`[batch, n, dim]`, as a product, whose gradient is one too."""
        turned = tf.transpose(position)[:, :, None] * self.bins
        steps = tf.clip_by_value(turned - tf.range(self.bins, dtype=turned.dtype), 0.0, 1.0)
        products = tf.matmul(steps, tf.transpose(self.projection, [1, 0, 2]))
        return tf.transpose(products, [1, 0, 2]) + self.bias

    def _look_up_pieces(self, position: tf.Tensor) -> tf.Tensor:
        """The same with two look-ups instead of a product: the value where the bin begins, and its slope."""
        columns, projection = self.absent.shape[0], tf.convert_to_tensor(self.projection)
        before = tf.constant(np.tri(self.bins, k=-1), projection.dtype)  # a product is faster than a running sum
        starts = tf.matmul(before, tf.reshape(projection, [self.bins, -1]))  # bins first: one product for all columns
        scaled = tf.clip_by_value(position * self.bins, 0.0, self.bins)
        bin_ = tf.minimum(tf.floor(scaled), self.bins - 1.0)
        row = tf.cast(bin_, tf.int32) * columns + tf.range(columns)
        start, slope = (tf.gather(tf.reshape(t, [-1, self.dim]), row) for t in (starts, projection))
        return start + tf.expand_dims(scaled - bin_, 2) * slope + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins, "dim": self.dim}


@_register
class OneHotWords(tf_keras.layers.Layer):
    """One-hot categories, zeros for an unseen word. Input: ids `[batch, m]`. Output: `[batch, len(columns) * size]`.

    The ids come from the transform graph's own look-up, which gives no others: they are not clipped.

    Args:
        columns: The positions that are read.
        places: The place of each id among its column's words; -1 for an unseen word.
        size: Most words of a column.
    """

    def __init__(self, columns: Sequence[int], places: Sequence[int], size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.columns, self.places, self.size = list(columns), list(places), size

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        # An unseen word is beyond the last place: ONNX would count -1 from the end.
        known = [place if place >= 0 else self.size for place in self.places]
        places = tf.gather(tf.constant(known, tf.int32), _select_columns(ids, self.columns))
        hot = tf.one_hot(places, self.size, dtype=self.compute_dtype)
        return tf.reshape(hot, [-1, len(self.columns) * self.size])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "columns": self.columns, "places": self.places, "size": self.size}


@_register
class WordEmbedding(tf_keras.layers.Layer):
    """One table for the words of all columns. Input: ids `[batch, m]`. Output: `[batch, len(columns) * dim]`.

    Args:
        columns: The positions that are read.
        rows: Number of ids.
        dim: Numbers behind each id.
        unseen: Ids below it are unseen and rare words: zeros, whatever the table holds.
    """

    def __init__(self, columns: Sequence[int], rows: int, dim: int, unseen: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.columns, self.rows, self.dim, self.unseen = list(columns), int(rows), dim, unseen

    def build(self, input_shape: Any) -> None:
        normal = tf_keras.initializers.RandomNormal(stddev=1 / math.sqrt(self.dim))
        self.table = self.add_weight("embeddings", shape=[self.rows, self.dim], initializer=normal)
        super().build(input_shape)

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        ids = _select_columns(ids, self.columns)
        vectors = tf.nn.embedding_lookup(self.table, ids)
        if self.unseen:
            vectors *= tf.cast(tf.expand_dims(ids, 2) >= self.unseen, vectors.dtype)
        return tf.reshape(vectors, [-1, len(self.columns) * self.dim])

    def get_config(self) -> dict[str, Any]:
        own = {"columns": self.columns, "rows": self.rows, "dim": self.dim, "unseen": self.unseen}
        return {**super().get_config(), **own}


def _select_columns(ids: tf.Tensor, columns: list[int]) -> tf.Tensor:
    return ids if len(columns) == ids.shape[1] else tf.gather(ids, columns, axis=1)


@_register
class InputScale(tf_keras.layers.Layer):
    """A learned factor of each input."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight("scale", [input_shape[-1]], initializer="ones")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * self.scale


@_register
class Mish(tf_keras.layers.Layer):
    """`x * tanh(softplus(x))` (arXiv:1908.08681)."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return compute_mish(inputs)


@tf.custom_gradient
def compute_mish(inputs: tf.Tensor) -> Any:
    """Mish by one sigmoid `s`: `tanh(softplus(x)) = s (1 + u) / (1 + u^2)` with `u = 1 - s`.

    In half the time of softplus and tanh; nothing overflows, no difference of nearly equal numbers counts, and all lies
    between 0 and 2, as quantization to int8 wants it. TensorFlow Lite refuses to divide by int8 numbers that are stored
    as 0, which may stand for any number: hence the root. The gradient keeps three tensors where the chain rule would
    keep six.
    """
    sigmoid = tf.sigmoid(inputs)
    rest = 1 - sigmoid
    root = tf.math.rsqrt(1 + tf.square(rest))
    factor = sigmoid * (1 + rest) * tf.square(root)

    def compute_gradient(upstream: tf.Tensor) -> tf.Tensor:
        return upstream * (factor + inputs * (1 - tf.square(factor)) * sigmoid)

    return inputs * factor, compute_gradient


@_register
class RandomSigns(tf_keras.initializers.Initializer):
    """Plus or minus one at random."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> tf.Tensor:
        numbers = tf_keras.initializers.RandomUniform(-1.0, 1.0)(shape, dtype, **kwargs)
        return tf.where(numbers < 0, -tf.ones_like(numbers), tf.ones_like(numbers))


@_register
class Members(tf_keras.layers.Layer):
    """A factor and a bias of each member of the ensemble (arXiv:2410.24210), so that one product serves all members.

    Input: `[batch, units]`, the same for all members, or `[batch * members, units]`. Output: `[batch, members, units]`.

    Args:
        members: Number of members.
        begins: Whether the input is the same for all members. Then the factors begin as random signs, which makes the
            members differ; else as ones.
        use_bias: Whether there is a bias.
    """

    def __init__(self, members: int, begins: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members, self.begins = members, begins

    def build(self, input_shape: Any) -> None:
        shape = [self.members, input_shape[-1]]
        self.scale = self.add_weight("scale", shape, initializer=RandomSigns() if self.begins else "ones")
        self.bias = self.add_weight("bias", shape, initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        each = [-1, 1 if self.begins else self.members, inputs.shape[-1]]
        return tf.reshape(inputs, each) * self.scale + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "members": self.members, "begins": self.begins}


@_register
class MembersInto(tf_keras.layers.Layer):
    """A factor of each member's every number, on the way into one product for all of them.

    Input: `[batch, members, units]`. Output: `[batch * members, units]`.
    """

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight("scale", input_shape[1:], initializer="ones")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reshape(inputs * self.scale, [-1, inputs.shape[-1]])


@_register
class MemberLogits(tf_keras.layers.Layer):
    """Each member's own output layer: `[batch, members, units]` to `[batch, members, outputs]`."""

    def __init__(self, outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs = outputs

    def build(self, input_shape: Any) -> None:
        _, members, units = input_shape
        limit = math.sqrt(6 / (units + self.outputs))  # Glorot's, of one member
        uniform = tf_keras.initializers.RandomUniform(-limit, limit)
        self.projection = self.add_weight("projection", [members, units, self.outputs], initializer=uniform)
        self.bias = self.add_weight("bias", [members, self.outputs], initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.outputs == 1:
            return tf.reduce_sum(inputs * self.projection[:, :, 0], axis=2, keepdims=True) + self.bias
        products = tf.matmul(tf.transpose(inputs, [1, 0, 2]), self.projection)
        return tf.transpose(products, [1, 0, 2]) + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "outputs": self.outputs}


@_register
class MeanOfMembers(tf_keras.layers.Layer):
    """In training each member's logits, whose losses are averaged; else the logits of the mean answer.

    Input: `[batch, members, units]`. Output: the same in training, else `[batch, units]`: the mean of values for a
    regression, the logits of the mean of probabilities for a classifier.

    Args:
        task: The task.
    """

    def __init__(self, task: Task, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.task = task

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if training:
            return inputs
        if self.task == "regression":
            return tf.reduce_mean(inputs, axis=1)
        if self.task == "multiclass":
            return _compute_log(tf.reduce_mean(tf.nn.softmax(inputs), axis=1))
        # Both sides from their own sigmoid: 1 - p would round a probability near 1 to 1.
        sides = (tf.reduce_mean(tf.sigmoid(side), axis=1) for side in (inputs, -inputs))
        positive, negative = (_compute_log(side) for side in sides)
        return positive - negative

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "task": self.task}


def _compute_log(share: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(share, _LEAST_SHARE))
