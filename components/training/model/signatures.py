"""Raw columns as inputs of a served model: safe tensor names, defaults, and their conversion to parsed features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from taxiway.components.saved_models.input_names import make_input_name

MISSING: Mapping[str, Any] = {"string": "", "int64": -(2**63), "float32": -3.4028234663852886e38}
"""The value that stands for a missing one in a dense tensor: JSON knows no NaN. It is the signature's default too."""


@dataclass(frozen=True)
class RawInput:
    """One input of the raw signature.

    Attributes:
        tensor: Name of the tensor: see `taxiway.components.saved_models.input_names`.
        column: The raw column.
        dtype: `string`, `int64` or `float32`.
        shape: The shape without the batch dimension; `()` for one value a row.
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


def list_raw_inputs(spec: Mapping[str, Any], without: Iterable[str]) -> list[RawInput]:
    """The inputs of the raw signature: required ones first, then by column.

    Args:
        spec: The raw feature spec: `FixedLenFeature` or `VarLenFeature` by column.
        without: The label and the columns left out.
    """
    left_out = set(without)
    columns = sorted(name for name in spec if name not in left_out)
    inputs = [_build_raw_input(name, make_input_name(name), spec[name]) for name in columns]
    return sorted(inputs, key=lambda i: i.optional)


def build_features(inputs: Sequence[RawInput], values: Mapping[str, tf.Tensor]) -> dict[str, Any]:
    """What `tf.io.parse_example` would have made of the columns: sparse where they are optional.

    Columns of one dtype are treated together: operations of each would be most of a wide table's graph.

    Args:
        inputs: The inputs of the raw signature.
        values: `[batch]` by tensor name, or `[1]` for all rows where the input is optional.
    """
    batch = _count_rows([values[i.tensor] for i in inputs])
    features = {i.column: values[i.tensor] for i in inputs if not i.optional}
    for dtype in sorted({i.dtype for i in inputs if i.optional}):
        group = [i for i in inputs if i.optional and i.dtype == dtype]
        sparse = _drop_missing([values[i.tensor] for i in group], MISSING[dtype], batch)
        features |= {i.column: column for i, column in zip(group, sparse, strict=True)}
    return features


def _count_rows(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """The most rows of any input, int32 `[1]`."""
    by_dtype = [[value for value in values if value.dtype == dtype] for dtype in {value.dtype for value in values}]
    shapes = [shape[:1] if shape.shape[0] != 1 else shape for group in by_dtype for shape in tf.shape_n(group)]
    return tf.reduce_max(tf.concat(shapes, axis=0), keepdims=True)


def _drop_missing(columns: Sequence[tf.Tensor], missing: Any, batch: tf.Tensor) -> list[tf.SparseTensor]:
    """Each column as a sparse tensor of what is not missing.

    Args:
        columns: `[batch]` or `[1]` each, of one dtype.
        missing: What stands for a missing value.
        batch: int32 `[1]`, the number of rows.
    """
    table = tf.stack([tf.broadcast_to(column, batch) for column in columns])
    is_present = tf.not_equal(table, tf.constant(missing, table.dtype))
    places = tf.where(is_present)  # by column, then by row
    indices = tf.stack([places[:, 1], tf.zeros_like(places[:, 1])], axis=1)
    counts = tf.math.count_nonzero(is_present, axis=1)
    shape = tf.concat([tf.cast(batch, tf.int64), [1]], axis=0)
    pieces = (tf.split(x, counts, num=len(columns)) for x in (indices, tf.gather_nd(table, places)))
    return [tf.SparseTensor(index, value, shape) for index, value in zip(*pieces, strict=True)]


def _build_raw_input(column: str, tensor: str, feature: Any) -> RawInput:
    fixed = isinstance(feature, tf.io.FixedLenFeature)
    shape = tuple(feature.shape) if fixed else ()
    return RawInput(tensor, column, feature.dtype.name, shape, optional=not fixed)
