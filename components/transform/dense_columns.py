"""First values of optional columns, dense, with the same few operations for any number of columns.

A column densified by itself takes some ten operations: of 1,500 columns a graph that takes TensorFlow minutes to load.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Convert = Callable[[tf.Tensor], tf.Tensor]
"""Changes values `[any]` one by one."""


def densify_columns(columns: Sequence[Any], default: Any, convert: Convert = tf.identity, axis: int = 0) -> tf.Tensor:
    """The first value of each row, `default` where it has none: `[columns, batch]` of one dtype.

    Args:
        columns: `tf.SparseTensor` `[batch, any]` or `tf.Tensor` of one value a row.
        default: Value for rows without one, of the dtype that `convert` gives.
        convert: What makes values of each of the columns' dtypes to one dtype.
        axis: Where the columns are: with 1 the result is `[batch, columns]`.
    """
    groups: dict[tuple[str, bool], list[int]] = {}
    for position, column in enumerate(columns):
        groups.setdefault((column.dtype.name, isinstance(column, tf.SparseTensor)), []).append(position)
    parts = []
    for (_, is_sparse), positions in groups.items():
        group = [columns[position] for position in positions]
        dense = _densify_sparse(group, default, convert, axis) if is_sparse else convert(_stack_dense(group, axis))
        parts.append(dense)
    if len(parts) == 1:
        return parts[0]
    order = np.argsort([position for positions in groups.values() for position in positions])
    return tf.gather(tf.concat(parts, axis=axis), order, axis=axis)


def densify_column(column: Any, default: Any) -> tf.Tensor:
    """The same of one column: `[batch]`."""
    return densify_columns([column], default)[0]


def _stack_dense(columns: Sequence[tf.Tensor], axis: int) -> tf.Tensor:
    batch = tf.shape(columns[0])[:1]
    return tf.stack([column if column.shape.rank == 1 else tf.reshape(column, batch) for column in columns], axis=axis)


def _densify_sparse(columns: Sequence[tf.SparseTensor], default: Any, convert: Convert, axis: int) -> tf.Tensor:
    """All values in one row, those of the first column, then those of the second...; the first one of each of a
    column's rows is put where it belongs.

    The optimizer's `graphs.column_groups` knows these operations. Not `RaggedTensorToTensor`, which does the same at
    once: TensorFlow 2.16 writes outside of its memory where rows are not sorted.
    """
    ends = tf.cumsum(tf.concat(tf.shape_n([column.values for column in columns]), axis=0))
    column_of = tf.searchsorted(ends, tf.range(ends[-1]), side="right", out_type=tf.int64)
    row_of, place = tf.unstack(tf.concat([column.indices for column in columns], axis=0), num=2, axis=1)
    count, batch = len(columns), columns[0].dense_shape[0]
    positions = column_of * batch + row_of if axis == 0 else row_of * count + column_of
    first = tf.where(tf.equal(place, 0))[:, 0]
    values = convert(tf.gather(tf.concat([column.values for column in columns], axis=0), first))
    dense = tf.raw_ops.SparseToDense(
        sparse_indices=tf.gather(positions, first),
        output_shape=[count * batch],
        sparse_values=values,
        default_value=tf.constant(default, values.dtype),
        validate_indices=False,  # they need not rise
    )
    return tf.reshape(dense, [count, -1] if axis == 0 else [-1, count])
