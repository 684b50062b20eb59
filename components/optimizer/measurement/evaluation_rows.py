"""The labelled evaluation rows: raw, as a client would send them, with their labels and the columns of the slices.

Labels come from the *raw* examples: the rows of the transformed ones are in another order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from numpy.typing import NDArray
from tensorflow_metadata.proto.v0 import schema_pb2

from taxiway.components.contract import EVAL_SPLIT
from taxiway.components.files.tfrecord_files import read_records
from taxiway.components.optimizer.job import OptimizerJob
from taxiway.components.optimizer.measurement.label_values import find_labels
from taxiway.components.tables.examples.row_sample import sample_split

_ROWS_FILE, _COLUMNS_FILE = "rows.tfrecord", "columns.npz"
_LABEL = "label"


def write_rows(job: OptimizerJob, transform_graph: str, folder: str) -> dict[str, Any]:
    """Draws evaluation rows and writes them for `load_rows` and `load_columns`. Starts TensorFlow.

    Args:
        job: Job with examples, schema, label, slices, limit and seed. Where there are more rows they are drawn at
            random, each label with its share.
        transform_graph: URI of the transform graph, if it may have made the label; empty: the label is a raw column.
        folder: Folder to write into.

    Returns:
        `rows` drawn and `available`.

    Raises:
        DataError: no rows, a row without a label, or no such label.
    """
    label, columns = job.label, job.slice_columns
    types = _read_dtypes(job.schema_uri)
    stratum = label if label in types else None  # else the transform graph makes it of drawn rows
    sample = sample_split(job.examples, EVAL_SPLIT, stratum, job.config.quality_rows, job.config.seed)
    drawn = sample.rows
    table = _parse_columns(drawn, {name: types.get(name, tf.string) for name in {label, *columns}})
    labels = find_labels(drawn, table[label] if label in types else None, label, job.task, transform_graph)
    with tf.io.TFRecordWriter(str(Path(folder, _ROWS_FILE))) as out:
        for row in drawn:
            out.write(row)
    texts = {f"column:{name}": np.array([_convert_to_text(v) for v in table[name]]) for name in columns}
    np.savez(Path(folder, _COLUMNS_FILE), **{_LABEL: labels}, **texts)
    return {"rows": len(drawn), "available": sample.available}


def load_columns(folder: str) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
    """Labels and slice columns that `write_rows` wrote. Needs no TensorFlow."""
    with np.load(Path(folder, _COLUMNS_FILE)) as file:
        columns = {key.split(":", 1)[1]: file[key] for key in file.files if key != _LABEL}
        return file[_LABEL], columns


def load_rows(folder: str) -> NDArray[Any]:
    """The serialized rows that `write_rows` wrote: bytes objects `[rows]`, in the order of the labels."""
    records = [record for batch in read_records(str(Path(folder, _ROWS_FILE)), 8192) for record in batch]
    return np.array(records, dtype=object)


def transform_rows(rows: NDArray[Any], transform_graph: str) -> dict[str, NDArray[Any]]:
    """The dense, numeric transformed features of serialized raw rows, `[rows, *shape]` by name, in the rows' order."""
    import tensorflow_transform as tft

    graph = tft.TFTransformOutput(transform_graph)
    transform, spec = graph.transform_features_layer(), graph.raw_feature_spec()
    parts = []
    for i in range(0, len(rows), 4096):
        out = transform(tf.io.parse_example(tf.constant(rows[i : i + 4096]), spec))
        parts.append({name: value.numpy() for name, value in out.items() if _is_numeric(value)})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _is_numeric(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and value.dtype != tf.string


def _read_dtypes(schema: str) -> dict[str, tf.DType]:
    """Each column's dtype, from the curated schema."""
    proto = schema_pb2.Schema()
    text_format.Parse(Path(schema, "schema.pbtxt").read_text(), proto)
    dtypes = {schema_pb2.BYTES: tf.string, schema_pb2.INT: tf.int64, schema_pb2.FLOAT: tf.float32}
    return {feature.name: dtypes[feature.type] for feature in proto.feature if feature.type in dtypes}


def _parse_columns(rows: NDArray[Any], dtypes: dict[str, tf.DType]) -> dict[str, list[Any]]:
    """The first value of each column, None where a row has none."""
    parsed = tf.io.parse_example(rows, {name: tf.io.RaggedFeature(dtype) for name, dtype in dtypes.items()})
    return {name: [row[0] if len(row) else None for row in ragged.to_list()] for name, ragged in parsed.items()}


def _convert_to_text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
