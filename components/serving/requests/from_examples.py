"""Real requests: rows of raw examples as the inputs of each signature.

The label and the columns left out are taken away first: a client does not have them, so a model that needs them must
fail here. Imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from taxiway.components.contract import EXAMPLES_INPUT, SERVING_DEFAULT, SERVING_RAW
from taxiway.components.errors import DataError
from taxiway.components.saved_models import signature_inputs
from taxiway.components.saved_models.signature_inputs import SignatureInput


def read_model_inputs(model_dir: str | Path) -> dict[str, SignatureInput]:
    """The tensors of `serving_raw`, by name, with their shapes; empty where the model has none.

    Raises:
        ServingError: The file beside the model is not what the exporter writes.
    """
    inputs = signature_inputs.read_signature_inputs(model_dir)
    shapes = _read_row_shapes(Path(model_dir)) if inputs else {}
    return {name: dataclasses.replace(entry, shape=shapes.get(name, ())) for name, entry in inputs.items()}


def _read_row_shapes(model_dir: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of one row of each input of `serving_raw`, as the SavedModel declares them."""
    model = saved_model_pb2.SavedModel.FromString((model_dir / "saved_model.pb").read_bytes())
    inputs = model.meta_graphs[0].signature_def[SERVING_RAW].inputs if model.meta_graphs else {}
    return {name: tuple(max(dim.size, 0) for dim in info.tensor_shape.dim[1:]) for name, info in inputs.items()}


def read_examples(files: Sequence[str | Path], limit: int) -> list[tf.train.Example]:
    """The first rows of TFRecord files (gzip where the name ends so), taken from all files in turn.

    Raises:
        DataError: There is no row.
    """
    readers = [iter(_read_records(str(file))) for file in sorted(map(str, files))]
    turns = (row for turn in itertools.zip_longest(*readers) for row in turn if row is not None)
    rows = list(itertools.islice(turns, limit))
    if not rows:
        where = ", ".join(map(str, files)) or "the evaluation split"
        raise DataError(f"No rows in {where}.", "Look at ExampleGen's output.")
    return [tf.train.Example.FromString(row) for row in rows]


def _read_records(file: str) -> Iterable[bytes]:
    compression = "GZIP" if file.endswith(".gz") else ""
    return tf.data.TFRecordDataset(file, compression_type=compression).as_numpy_iterator()


def strip_columns(example: tf.train.Example, columns: Iterable[str] | None, label: str) -> tf.train.Example:
    """The example without its label, and with no other columns than the given ones (None: all)."""
    kept = set(example.features.feature) if columns is None else set(columns)
    features = {name: value for name, value in example.features.feature.items() if name in kept and name != label}
    return tf.train.Example(features=tf.train.Features(feature=features))


def read_cell(example: tf.train.Example, column: str, shape: tuple[int, ...] = ()) -> Any:
    """The column's value in a row, a list where a row holds several, or None where it is missing."""
    feature = example.features.feature.get(column) if column in example.features.feature else None
    kind = feature.WhichOneof("kind") if feature is not None else None
    values = getattr(feature, kind).value if kind else ()
    if shape:
        return list(values) if values else None
    return values[0] if values else None


def build_raw_tensors(
    examples: Sequence[tf.train.Example], inputs: Mapping[str, SignatureInput]
) -> dict[str, np.ndarray]:
    """The rows as the tensors of `serving_raw`: each `[rows]`, the default where a value is missing."""
    columns = {e.column: [read_cell(example, e.column, e.shape) for example in examples] for e in inputs.values()}
    return build_column_tensors(columns, inputs)


def build_column_tensors(
    columns: Mapping[str, Sequence[Any]], inputs: Mapping[str, SignatureInput]
) -> dict[str, np.ndarray]:
    """Columns of Python values, None where missing, as tensors by name.

    Raises:
        DataError: A value is not of its column's type.
    """
    return {name: _build_tensor(columns[entry.column], entry) for name, entry in inputs.items()}


def _build_tensor(values: Sequence[Any], entry: SignatureInput) -> np.ndarray:
    filled = [entry.default if value is None else value for value in values]
    if None in filled:
        raise DataError(f"Column {entry.column!r} is missing in row {filled.index(None)}.", "The model requires it.")
    dtype = tf.dtypes.as_dtype(entry.dtype)
    try:
        if dtype == tf.string:
            array = np.array([_encode_value(value) for value in _flatten_values(filled)], dtype=object)
        else:
            array = np.array(filled, dtype=dtype.as_numpy_dtype)
        return array.reshape(len(filled), *entry.shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"Column {entry.column!r} takes {entry.dtype}: {error}.", "Correct the rows.") from error


def _flatten_values(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) else (value,)


def _encode_value(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8")


def serialize_examples(examples: Sequence[tf.train.Example]) -> np.ndarray:
    """The rows as the input of `serving_default`: bytes `[rows]`."""
    return np.array([example.SerializeToString(deterministic=True) for example in examples], dtype=object)


@dataclass(frozen=True)
class RequestBuilder:
    """Turns rows into the inputs of a signature.

    Attributes:
        examples: Without label and left-out columns.
        inputs: The tensors of `serving_raw`; empty where the model has none.
    """

    examples: Sequence[tf.train.Example]
    inputs: Mapping[str, SignatureInput]

    @classmethod
    def from_examples(cls, examples: Sequence[tf.train.Example], model_dir: str | Path, label: str) -> RequestBuilder:
        """Rows for the model in a folder: only its own columns, where it names them."""
        inputs = read_model_inputs(model_dir)
        columns = {entry.column for entry in inputs.values()} or None
        return cls([strip_columns(example, columns, label) for example in examples], inputs)

    @property
    def signatures(self) -> tuple[str, ...]:
        """Signatures for which requests can be made."""
        return (SERVING_DEFAULT, SERVING_RAW) if self.inputs else (SERVING_DEFAULT,)

    def build_request(self, signature: str, rows: slice) -> dict[str, np.ndarray]:
        """The inputs of one request."""
        chosen = self.examples[rows]
        if signature == SERVING_DEFAULT:
            return {EXAMPLES_INPUT: serialize_examples(chosen)}
        return build_raw_tensors(chosen, self.inputs)

    def split_batches(self, signature: str, size: int) -> Iterator[dict[str, np.ndarray]]:
        """All rows in requests of `size` rows, the last one shorter."""
        whole = self.build_request(signature, slice(None))
        for start in range(0, len(self.examples), size):
            yield {alias: values[start : start + size] for alias, values in whole.items()}
