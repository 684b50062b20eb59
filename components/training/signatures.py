"""Raw columns as inputs of a served model: safe tensor names, defaults, and their way into `tf.Example`'s shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from components.input_names import input_name

MISSING: Mapping[str, Any] = {"string": "", "int64": -(2**63), "float32": -3.4028234663852886e38}
"""The value that stands for a missing one in a dense tensor: JSON knows no NaN. It is the signature's default too."""


@dataclass(frozen=True)
class RawInput:
    """One input of the raw signature.

    Attributes:
        tensor: Name of the tensor: see `components.input_names`.
        column: The raw column.
        dtype: `string`, `int64` or `float32`.
        shape: Without the batch dimension; `()` for one value a row.
        optional: Whether it may be left out. A missing value is written as `MISSING[dtype]`.
    """

    tensor: str
    column: str
    dtype: str
    shape: tuple[int, ...]
    optional: bool

    @property
    def default(self) -> Any:
        return MISSING[self.dtype] if self.optional else None

    @property
    def spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, *self.shape], self.dtype, self.tensor)

    def default_tensor(self) -> tf.Tensor | None:
        """`[1]`: broadcast to the batch."""
        return tf.constant([self.default], self.dtype) if self.optional else None

    def to_feature(self, values: tf.Tensor, batch: tf.Tensor) -> Any:
        """What `tf.io.parse_example` would have made of the column: sparse where it is optional."""
        if not self.optional:
            return values
        values = tf.broadcast_to(values, [batch])
        present = tf.where(tf.not_equal(values, tf.constant(self.default, self.dtype)))
        shape = tf.stack([tf.cast(batch, tf.int64), tf.constant(1, tf.int64)])
        indices = tf.concat([present, tf.zeros_like(present)], axis=1)
        return tf.SparseTensor(indices, tf.gather_nd(values, present), shape)


def raw_inputs(spec: Mapping[str, Any], without: Iterable[str]) -> list[RawInput]:
    """The inputs of the raw signature: required ones first, then by column.

    Args:
        spec: The raw feature spec: `FixedLenFeature` or `VarLenFeature` by column.
        without: The label and the columns left out.
    """
    left_out = set(without)
    columns = sorted(name for name in spec if name not in left_out)
    inputs = [_raw_input(name, input_name(name), spec[name]) for name in columns]
    return sorted(inputs, key=lambda i: i.optional)


def _raw_input(column: str, tensor: str, feature: Any) -> RawInput:
    fixed = isinstance(feature, tf.io.FixedLenFeature)
    shape = tuple(feature.shape) if fixed else ()
    return RawInput(tensor, column, feature.dtype.name, shape, optional=not fixed)
