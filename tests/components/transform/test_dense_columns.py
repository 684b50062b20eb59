"""First values of many columns at once, against rows that try what a parser can give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

DTYPES = {"float32": np.float32, "int64": np.int64}
rows_of_columns = st.integers(0, 5).flatmap(
    lambda batch: st.lists(
        st.tuples(
            st.sampled_from(sorted(DTYPES)),
            st.lists(st.lists(st.integers(-99, 99), max_size=3), min_size=batch, max_size=batch),
        ),
        min_size=1,
        max_size=6,
    )
)


def make_sparse(dtype: str, rows: Sequence[Sequence[Any]]) -> Any:
    import tensorflow as tf

    flat = tf.constant([value for row in rows for value in row], dtype)
    return tf.RaggedTensor.from_row_lengths(flat, tf.constant([len(row) for row in rows], tf.int64)).to_sparse()


@settings(max_examples=60, deadline=None)
@given(rows_of_columns)
def test_the_first_value_of_each_row_or_the_default(columns):
    import tensorflow as tf

    from taxiway.components.transform.dense_columns import densify_columns

    sparse = [make_sparse(dtype, rows) for dtype, rows in columns]
    dense = densify_columns(sparse, float("nan"), lambda values: tf.cast(values, tf.float64)).numpy()
    expected = [[float(row[0]) if row else float("nan") for row in rows] for _, rows in columns]
    np.testing.assert_array_equal(dense, np.array(expected, np.float64).reshape(len(columns), -1))
    turned = densify_columns(sparse, float("nan"), lambda values: tf.cast(values, tf.float64), axis=1).numpy()
    np.testing.assert_array_equal(turned, dense.T)


def test_sparse_and_dense_columns_of_two_dtypes_keep_their_places():
    import tensorflow as tf

    from taxiway.components.transform.dense_columns import densify_column, densify_columns

    columns = [
        tf.constant([[1], [2]], tf.int64),
        make_sparse("float32", [[], [0.5, 9]]),
        tf.constant([3, 4], tf.int64),
        make_sparse("int64", [[5], []]),
    ]
    dense = densify_columns(columns, -1.0, lambda values: tf.cast(values, tf.float32))
    np.testing.assert_array_equal(dense, [[1, 2], [-1, 0.5], [3, 4], [5, -1]])
    assert densify_column(make_sparse("string", [[], ["b", "c"]]), "none").numpy().tolist() == [b"none", b"b"]


def test_a_dense_column_of_several_values_is_refused():
    import tensorflow as tf

    from taxiway.components.transform.dense_columns import densify_columns

    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        densify_columns([tf.constant([[1, 2], [3, 4]], tf.int64)], 0)


def test_more_columns_take_no_more_operations():
    import tensorflow as tf

    from taxiway.components.transform.dense_columns import densify_columns

    def count_operations(columns: int) -> int:
        types = [tf.SparseTensorSpec([None, None], tf.float32)] * columns
        traced = tf.function(lambda *given: densify_columns(given, 0.0), input_signature=types).get_concrete_function()
        return sum(op.type != "Placeholder" for op in traced.graph.get_operations())

    assert count_operations(50) == count_operations(5) < 70


def test_rows_in_any_order_are_put_where_they_belong_and_others_are_refused():
    import tensorflow as tf

    from taxiway.components.transform.dense_columns import densify_columns

    turned = tf.SparseTensor([[2, 0], [0, 1], [0, 0]], [3, 9, 1], [3, 2])
    np.testing.assert_array_equal(densify_columns([turned, turned], 0), [[1, 0, 3]] * 2)
    beyond = tf.SparseTensor([[7, 0]], [1], [3, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="out of bounds"):
        densify_columns([beyond], 0)
