"""Inputs of the raw signature, against what the parser makes of the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.training.model.signatures import MISSING, build_features, list_raw_inputs

SPEC = {
    "amount": tf.io.VarLenFeature(tf.float32),
    "count": tf.io.VarLenFeature(tf.int64),
    "town": tf.io.VarLenFeature(tf.string),
    "rate": tf.io.VarLenFeature(tf.float32),
    "id": tf.io.FixedLenFeature([], tf.int64),
    "place": tf.io.FixedLenFeature([2], tf.float32),
}
ROWS: list[dict[str, list[Any]]] = [
    {"amount": [1.5], "town": [b"x"], "id": [1], "place": [1, 2]},
    {"count": [-3], "town": [b"y"], "id": [2], "place": [3, 4]},
    {"amount": [float("nan")], "count": [7], "id": [3], "place": [5, 6]},
]


def serialize(row: dict[str, list[Any]]) -> bytes:
    lists = {tf.string: ("bytes_list", tf.train.BytesList), tf.int64: ("int64_list", tf.train.Int64List)}
    feature = {}
    for name, values in row.items():
        key, kind = lists.get(SPEC[name].dtype, ("float_list", tf.train.FloatList))
        feature[name] = tf.train.Feature(**{key: kind(value=values)})
    return bytes(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def write_inputs() -> dict[str, tf.Tensor]:
    """The rows as a client writes them: `rate`, which none of them has, is left out, so its default stands there."""
    values = {}
    for given in list_raw_inputs(SPEC, []):
        cells = [row.get(given.column, [MISSING[given.dtype]]) for row in ROWS]
        table = [cell if given.shape else cell[0] for cell in cells]
        values[given.tensor] = tf.constant(table[:1] if given.column == "rate" else table, given.dtype)
    return values


def test_the_columns_are_those_that_the_parser_makes():
    parsed = tf.io.parse_example([serialize(row) for row in ROWS], SPEC)
    built = build_features(list_raw_inputs(SPEC, []), write_inputs())
    assert built.keys() == parsed.keys()
    for name, column in parsed.items():
        if isinstance(column, tf.SparseTensor):
            np.testing.assert_array_equal(built[name].indices, column.indices, err_msg=name)
            np.testing.assert_array_equal(built[name].values, column.values, err_msg=name)
            assert built[name].dense_shape[0] == len(ROWS) and built[name].dtype == column.dtype
        else:
            np.testing.assert_array_equal(built[name], column, err_msg=name)


def test_an_input_of_another_number_of_rows_is_refused():
    values = {**write_inputs(), "amount": tf.constant([1.0, 2.0])}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Incompatible shapes"):
        build_features(list_raw_inputs(SPEC, []), values)


def test_a_column_takes_one_operation():
    def count_operations(columns: int) -> int:
        inputs = list_raw_inputs({f"c{i}": tf.io.VarLenFeature(tf.float32) for i in range(columns)}, [])
        with tf.Graph().as_default() as graph:
            build_features(inputs, {i.tensor: tf.compat.v1.placeholder(tf.float32, [None]) for i in inputs})
        return sum(op.type != "Placeholder" for op in graph.get_operations())

    assert count_operations(50) - count_operations(10) == 40
