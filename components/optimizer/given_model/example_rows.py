"""Rows of TFRecords that hold `tf.Example`: serialized, or parsed into the tensors of a signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from taxiway.components.contract import EVAL_SPLIT, TEST_SPLIT, split_dir
from taxiway.components.errors import DataError
from taxiway.components.files.tfrecord_files import read_records
from taxiway.components.optimizer.given_model.parsed_examples import ParsedFeature
from taxiway.components.optimizer.given_model.row_limits import take_parts
from taxiway.components.optimizer.given_model.signatures import SignatureSpec
from taxiway.components.optimizer.given_model.table_rows import (
    MOST_ROWS,
    LabelledRows,
    convert_column,
    convert_labels,
)

_BATCH_ROWS = 4096


def read_examples(folder: str, signature: SignatureSpec, features: Sequence[ParsedFeature], label: str) -> LabelledRows:
    """The examples of a folder, or of one file, as tensors.

    Args:
        folder: Folder of TFRecords, an `Examples` artifact (its split `eval` or `test`), or one file.
        signature: The signature that takes them.
        features: Features that the signature parses; where there are any, it gets the examples as they are.
        label: The label's feature; empty: none is read.

    Raises:
        DataError: there are none, or they lack an input.
    """
    files = find_example_files(folder)
    records, told = take_parts(_iterate_records(files), MOST_ROWS, len)
    if not records:
        raise DataError(f"{folder} holds no examples.", "Give a folder with TFRecords of tf.Example.")
    serialized = np.array(records, object)
    labels = convert_labels(_parse_feature(serialized, label, folder), label) if label else None
    if features:
        return LabelledRows({signature.text_inputs[0]: serialized}, labels, told)
    tensors = {
        name: convert_column(_parse_feature(serialized, name, folder), spec) for name, spec in signature.inputs.items()
    }
    return LabelledRows(tensors, labels, told)


def find_example_files(folder: str) -> list[str]:
    """The files of a folder; of an `Examples` artifact those of the split by which variants may be chosen."""
    root = Path(folder)
    if root.is_file():
        return [folder]
    splits = [Path(split_dir(folder, split)) for split in (EVAL_SPLIT, TEST_SPLIT)]
    chosen = next((split for split in splits if split.is_dir()), root)
    files = sorted(str(path) for path in chosen.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise DataError(f"There are no files in {folder}.", "Give a folder with TFRecords of tf.Example.")
    return files


def _iterate_records(files: Sequence[str]) -> Iterator[bytes]:
    for file in files:
        try:
            for batch in read_records(file, _BATCH_ROWS):
                yield from batch
        except DataError as error:
            raise DataError(error.problem, "Give TFRecords of tf.Example, gzip or not.") from error


def _parse_feature(serialized: NDArray[Any], name: str, folder: str) -> NDArray[Any]:
    """The values of a feature, whose type the first example that has it tells: `[rows]` or `[rows, values]`."""
    try:
        kind = next(filter(None, (_find_kind(row, name) for row in serialized)), None)
    except DecodeError as error:
        raise DataError(f"{folder} holds a record that is no tf.Example: {error}.") from error
    if kind is None:
        example = tf.train.Example.FromString(serialized[0])
        raise DataError(
            f"The examples of {folder} have no feature {name!r}.",
            f"Features of the first one: {', '.join(sorted(example.features.feature))}.",
        )
    try:
        ragged = tf.io.parse_example(tf.constant(serialized), {name: tf.io.RaggedFeature(kind)})[name]
    except tf.errors.OpError as error:
        raise DataError(f"The feature {name!r} of {folder} cannot be read: {error.message}") from error
    lengths = set(ragged.row_lengths().numpy().tolist())
    if lengths == {1}:
        return np.asarray(ragged.flat_values.numpy())
    if len(lengths) == 1:
        return np.asarray(ragged.to_tensor().numpy())
    raise DataError(
        f"The feature {name!r} of {folder} has {min(lengths)} to {max(lengths)} values a row.",
        "The rows of a tensor have one shape: give examples in which the feature always has as many values.",
    )


def _find_kind(serialized: bytes, name: str) -> Any:
    feature = tf.train.Example.FromString(serialized).features.feature
    kind = feature[name].WhichOneof("kind") if name in feature else None
    return {"bytes_list": tf.string, "int64_list": tf.int64, "float_list": tf.float32}.get(kind or "")
