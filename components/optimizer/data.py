"""The labelled evaluation rows: raw, as a client would send them, with their labels and the columns of the slices.

Labels come from the *raw* examples: the rows of the transformed ones are in another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from numpy.typing import NDArray
from tensorflow_metadata.proto.v0 import schema_pb2

from components.errors import DataError

EVAL_SPLIT = "Split-eval"
_ROWS_FILE, _COLUMNS_FILE = "rows.tfrecord", "columns.npz"
_LABEL = "label"


@dataclass(frozen=True)
class Rows:
    """Evaluation rows.

    Attributes:
        serialized: Serialized raw `tf.Example`s, bytes objects `[rows]`.
        labels: float64 `[rows]`.
        columns: Text of each slice column, `[rows]`; an empty text where the row has none.
    """

    serialized: NDArray[Any]
    labels: NDArray[np.float64]
    columns: dict[str, NDArray[Any]]


def prepare(
    examples: str, schema: str, label: str, columns: Iterable[str], limit: int, seed: int, folder: str
) -> dict[str, Any]:
    """Draws evaluation rows and writes them where `load` finds them. Starts TensorFlow.

    Args:
        examples: URI of the `Examples` artifact with the split `eval`.
        schema: URI of the `Schema` artifact.
        label: The label's column.
        columns: Columns of the slices.
        limit: Most rows; above it they are drawn at random.
        seed: Of the draw.
        folder: Where to write.

    Returns:
        `rows` drawn and `available`.

    Raises:
        DataError: no rows, or a row without a label.
    """
    serialized = read_split(examples, EVAL_SPLIT)
    drawn = _draw(serialized, limit, seed)
    types = _types(schema)
    table = _parse(drawn, {name: types.get(name, tf.string) for name in {label, *columns}})
    labels = _labels(table[label], label)
    with tf.io.TFRecordWriter(str(Path(folder, _ROWS_FILE))) as out:
        for row in drawn:
            out.write(row)
    texts = {f"column:{name}": np.array([_text(v) for v in table[name]]) for name in columns}
    np.savez(Path(folder, _COLUMNS_FILE), **{_LABEL: labels}, **texts)
    return {"rows": len(drawn), "available": len(serialized)}


def load_columns(folder: str) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
    """Labels and slice columns that `prepare` wrote. Needs no TensorFlow."""
    with np.load(Path(folder, _COLUMNS_FILE)) as file:
        columns = {key.split(":", 1)[1]: file[key] for key in file.files if key != _LABEL}
        return file[_LABEL], columns


def load_rows(folder: str) -> NDArray[Any]:
    """The serialized rows that `prepare` wrote: bytes objects `[rows]`, in the order of the labels."""
    return _read([str(Path(folder, _ROWS_FILE))])


def read_split(examples: str, split: str) -> NDArray[Any]:
    """All serialized examples of a split, bytes objects `[rows]`.

    Raises:
        DataError: the split has no files or no rows.
    """
    files = sorted(str(p) for p in Path(examples, split).glob("*") if p.is_file())
    rows = _read(files) if files else np.array([], dtype=object)
    if not len(rows):
        raise DataError(
            f"There are no examples under {Path(examples, split)}.",
            "The optimizer needs the raw examples of the splits train and eval.",
        )
    return rows


def transform(rows: NDArray[Any], transform_graph: str) -> dict[str, NDArray[Any]]:
    """The dense, numeric transformed features of serialized raw rows, `[rows, *shape]` by name, in the rows' order."""
    import tensorflow_transform as tft
    from tensorflow_transform.saved import saved_transform_io_v2

    graph = tft.TFTransformOutput(transform_graph)
    loader = saved_transform_io_v2.SavedModelLoader(graph.transform_savedmodel_dir)
    spec = graph.raw_feature_spec()
    parts = []
    for i in range(0, len(rows), 4096):
        out = loader.apply_transform_model(tf.io.parse_example(tf.constant(rows[i : i + 4096]), spec))
        parts.append({name: value.numpy() for name, value in out.items() if _is_numeric(value)})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _is_numeric(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and value.dtype != tf.string


def _read(files: Sequence[str]) -> NDArray[Any]:
    parts = []
    for file in files:
        dataset = tf.data.TFRecordDataset(file, "GZIP" if file.endswith(".gz") else "")
        parts.extend(dataset.batch(8192).as_numpy_iterator())
    return np.concatenate(parts) if parts else np.array([], dtype=object)


def _draw(rows: NDArray[Any], limit: int, seed: int) -> NDArray[Any]:
    if len(rows) <= limit:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), limit, replace=False)
    return rows[np.sort(chosen)]


def _types(schema: str) -> dict[str, tf.DType]:
    """Each column's dtype, from the curated schema."""
    proto = schema_pb2.Schema()
    text_format.Parse(Path(schema, "schema.pbtxt").read_text(), proto)
    dtypes = {schema_pb2.BYTES: tf.string, schema_pb2.INT: tf.int64, schema_pb2.FLOAT: tf.float32}
    return {feature.name: dtypes[feature.type] for feature in proto.feature if feature.type in dtypes}


def _parse(rows: NDArray[Any], dtypes: dict[str, tf.DType]) -> dict[str, list[Any]]:
    """The first value of each column, None where a row has none."""
    parsed = tf.io.parse_example(rows, {name: tf.io.RaggedFeature(dtype) for name, dtype in dtypes.items()})
    return {name: [row[0] if len(row) else None for row in ragged.to_list()] for name, ragged in parsed.items()}


def _labels(values: list[Any], label: str) -> NDArray[np.float64]:
    missing = sum(value is None for value in values)
    if missing:
        raise DataError(
            f"{missing} of {len(values)} evaluation rows have no label {label!r}.",
            "Labels are made with the examples; check label.column and the schema.",
        )
    return np.array([float(value) for value in values])


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
