"""A servable whose columns are optional, as the built-in preprocessing reads them, and rows that try its parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

LARGEST = 2**53 + 1
"""An integer that no float64 holds: what is cast must be cast as before."""
ROWS: list[dict[str, list[Any]]] = [
    {"word": [b"ace"], "count": [3], "miles": [1.5], "tags": [7], "gate": [12], "fare": [0.1]},
    {"word": [b"city"], "count": [LARGEST], "miles": [-2.5], "tags": [1, 2, 3]},
    {},  # no column at all
    {"word": [], "count": [], "miles": [], "tags": [], "gate": [], "fare": []},  # columns without a value
    {
        "word": [b"dove", b"ace"],
        "count": [4, 5],
        "miles": [6.5, 7.5],
        "gate": [-5, 6],
        "fare": [3, 4],
    },  # the first value wins
    {"word": [b"unknown"], "count": [-1], "miles": [float("inf")]},
]


def save(folder: str) -> None:
    """Columns of each dtype, one of them also read as a sparse tensor; a vocabulary with one bucket for the unknown."""
    module = tf.Module()
    vocabulary = tf.saved_model.Asset(str(Path(__file__).with_name("companies.txt")))
    text, whole, number = tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    initializer = tf.lookup.TextFileInitializer(vocabulary, text, whole, tf.int64, number)
    module.table, module.vocabulary = tf.lookup.StaticVocabularyTable(initializer, 1), vocabulary
    module.plain = tf.lookup.StaticHashTable(initializer, -1)
    module.serve = tf.function(
        lambda examples: {"probabilities": _answer(module, examples)},
        input_signature=[tf.TensorSpec([None], tf.string, "examples")],
        autograph=False,
    )
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


def _answer(module: Any, examples: Any) -> Any:
    dtypes = {"word": tf.string, "count": tf.int64, "miles": tf.float32, "tags": tf.int64, "gate": tf.int64}
    dtypes["fare"] = tf.float32
    raw = tf.io.parse_example(examples, {name: tf.io.VarLenFeature(dtype) for name, dtype in dtypes.items()})
    word = _first_slice(raw["word"], "")
    index = module.plain.lookup(word)
    unknown = tf.strings.to_hash_bucket_fast(word, 1) + module.plain.size()
    gate = _first_padded(_changed(raw["gate"], tf.strings.as_string), "none")
    known = module.plain.lookup(gate)
    columns = [
        tf.where(tf.not_equal(index, -1), index, unknown),  # as `compute_and_apply_vocabulary` writes it
        tf.where(known < 0, tf.strings.to_hash_bucket_fast(gate, 1) + 17, known + 1),  # as the built-in preprocessing
        tf.cast(tf.strings.length(gate), tf.int64),
        _first_slice(_changed(raw["count"], _double)),
        _first_padded(_changed(raw["fare"], _double)),
        _first_slice(raw["miles"], 9.0),
        _first_slice(_changed(raw["miles"], _double)),
        _first_slice(raw["tags"], 0),
        tf.scatter_nd(raw["tags"].indices[:, :1], tf.ones_like(raw["tags"].values), tf.shape(examples, tf.int64)),
    ]
    return tf.stack([tf.cast(column, tf.float64) for column in columns], axis=1)


def _double(values: Any) -> Any:
    return tf.cast(values, tf.float64)


def _changed(column: Any, function: Any) -> Any:
    return tf.SparseTensor(column.indices, function(column.values), column.dense_shape)


def _first_slice(column: Any, default: Any = float("nan")) -> Any:
    """The first value of each row, by a slice of the sparse tensor."""
    first = tf.sparse.slice(column, [0, 0], [column.dense_shape[0], 1])
    first = tf.SparseTensor(first.indices, first.values, [column.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(first, tf.constant(default, column.dtype)), 1)


def _first_padded(column: Any, default: Any = float("nan")) -> Any:
    """The first value of each row, by the first column of a table that is as wide as it must be."""
    shape = tf.stack([column.dense_shape[0], tf.maximum(column.dense_shape[1], 1)])
    padded = tf.SparseTensor(column.indices, column.values, shape)
    return tf.sparse.to_dense(padded, tf.constant(default, column.dtype))[:, 0]


def answers(servable: str) -> list[list[str]]:
    """The answers to all rows together, and to each by itself: `repr` of every number, for JSON knows no NaN."""
    from taxiway.components.optimizer.measurement.runtimes import open_servable

    served = open_servable(servable, "probabilities")
    rows = np.array([_serialized(row) for row in ROWS], dtype=object)
    tables = [served(rows), *(served(rows[i : i + 1]) for i in range(len(rows)))]
    return [[repr(float(value)) for value in line] for table in tables for line in table]


def _serialized(row: dict[str, list[Any]]) -> bytes:
    floats = ("float_list", tf.train.FloatList)
    kinds = {"word": ("bytes_list", tf.train.BytesList), "miles": floats, "fare": floats}
    feature = {}
    for name, values in row.items():
        key, kind = kinds.get(name, ("int64_list", tf.train.Int64List))
        feature[name] = tf.train.Feature(**{key: kind(value=values)})
    return bytes(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
