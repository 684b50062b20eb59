"""Rows of a file as tensors of a signature: csv, Parquet, JSON lines, or numpy's arrays by name."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from taxiway.components.errors import DataError, suggest_matches
from taxiway.components.optimizer.given_model.cell_values import convert_cells, is_missing
from taxiway.components.optimizer.given_model.parsed_examples import ParsedFeature, encode_examples
from taxiway.components.optimizer.given_model.signatures import FLOATS, INTEGERS, SignatureSpec, TensorSpec
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.record_batches import read_record_batches
from taxiway.components.tables.sources.files import select_source_files

MOST_ROWS = 200_000
"""Of a file; rows behind them are not read."""
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class LabelledRows:
    """Rows as tensors of a signature.

    Attributes:
        tensors: Tensors by input, `[rows, ...]`.
        labels: Labels `[rows]`, classes or values; None where there are none.
        told: How the tensors were made, where that is not plain.
    """

    tensors: Columns
    labels: NDArray[np.float64] | None
    told: str = ""


def read_table(path: str, signature: SignatureSpec, features: Sequence[ParsedFeature], label: str) -> LabelledRows:
    """The rows of a file as tensors.

    Args:
        path: A file, a folder or a glob; `.npz` for arrays by name.
        signature: The signature that takes them.
        features: Features that the signature parses of serialized examples; empty where it takes tensors.
        label: The label's column; empty: none is read.

    Raises:
        DataError: columns are missing, or hold what the input does not take.
    """
    columns = _read_arrays(path) if path.endswith(".npz") else _read_columns(path)
    labels = convert_labels(_take_column(columns, label, path), label) if label else None
    others = {name: values for name, values in columns.items() if name != label}
    if features:
        return LabelledRows(_encode_columns(others, signature, features, path), labels)
    stacked = _find_stacked_input(others, signature)
    if stacked:
        dtype = signature.inputs[stacked].dtype
        tensor = np.stack([convert_cells(values, dtype, name) for name, values in others.items()], 1)
        told = f"the columns {', '.join(others)} are, in this order, the values of {stacked}"
        return LabelledRows({stacked: tensor}, labels, told)
    missing = [name for name in signature.inputs if name not in others]
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r}, which is an input of the signature {signature.name!r}.",
            f"Its columns: {', '.join(columns)}. The inputs: {'; '.join(map(str, signature.inputs.values()))}.",
        )
    return LabelledRows({n: convert_column(others[n], spec) for n, spec in signature.inputs.items()}, labels)


def _read_arrays(path: str) -> Columns:
    remedy = "Write it with numpy.savez: numbers and texts, without objects."
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name][:MOST_ROWS] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read: {error}", remedy) from error
    sizes = {name: len(values) if values.ndim else 0 for name, values in columns.items()}
    if not sizes or len(set(sizes.values())) > 1 or 0 in sizes.values():
        raise DataError(f"The arrays of {path} do not have the same number of rows: {sizes}.")
    odd = {name: values.dtype for name, values in columns.items() if values.dtype.kind not in "fiubUS"}
    if odd:
        raise DataError(f"{path} holds arrays that are neither numbers nor texts: {odd}.", remedy)
    return {name: _make_text_objects(values) for name, values in columns.items()}


def _make_text_objects(values: NDArray[Any]) -> NDArray[Any]:
    """Texts of fixed width as bytes, UTF-8 of unicode; numbers as they are."""
    if values.dtype.kind == "U":
        values = np.char.encode(values, "utf-8")
    return values.astype(object) if values.dtype.kind == "S" else values


def _read_columns(path: str) -> Columns:
    data = TableConfig(path=path)
    batches: list[pa.RecordBatch] = []
    rows, bad = 0, BadRows()
    for file in select_source_files(data):
        for batch in read_record_batches(file, data, None, bad):
            batches.append(batch)
            rows += batch.num_rows
            if rows >= MOST_ROWS:
                break
    if not rows:
        raise DataError(f"{path} has no rows.")
    names = batches[0].schema.names
    cells = {name: [value for batch in batches for value in batch.column(name).to_pylist()] for name in names}
    return {name: _make_objects(values) for name, values in cells.items()}


def _make_objects(values: list[Any]) -> NDArray[Any]:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _take_column(columns: Columns, name: str, path: str) -> NDArray[Any]:
    if name not in columns:
        raise DataError(f"{path} has no column {name!r} for --label.", suggest_matches(name, columns))
    return columns[name]


def convert_labels(values: NDArray[Any], label: str) -> NDArray[np.float64]:
    """Labels as numbers.

    Raises:
        DataError: one is missing or no number.
    """
    if any(is_missing(value) for value in values):
        raise DataError(f"The label {label!r} is missing in some rows.", "Leave these rows out of the file.")
    try:
        return np.array([_read_label(value, label) for value in values])
    except (ValueError, TypeError) as error:
        raise DataError(
            f"The label {label!r} is no number: {error}.",
            "Give the index of the class, in the order of the model's output, or the value of a regression.",
        ) from error


def _read_label(value: Any, label: str) -> float:
    cell = np.asarray(value).ravel()
    if cell.size != 1:
        raise DataError(
            f"The label {label!r} has {cell.size} values a row; one is taken.",
            "Give the index of the class: of one-hot rows the position of the 1.",
        )
    return float(cell[0])


def _encode_columns(
    columns: Columns, signature: SignatureSpec, features: Sequence[ParsedFeature], path: str
) -> Columns:
    wanted = [feature.name for feature in features]
    found = {name: columns[name] for name in wanted if name in columns}
    if not found:
        raise DataError(
            f"{path} has none of the features that the signature parses: {', '.join(wanted)}.",
            f"Its columns: {', '.join(columns)}.",
        )
    return {signature.text_inputs[0]: encode_examples(found, list(features))}


def _find_stacked_input(columns: Columns, signature: SignatureSpec) -> str:
    """The only input, where it takes as many numbers as the file has columns and none is named like it."""
    if len(signature.inputs) != 1:
        return ""
    spec = next(iter(signature.inputs.values()))
    one_vector = spec.shape is not None and len(spec.shape) == 2 and spec.shape[1] in (len(columns), None)
    flat = all(values.ndim == 1 and not isinstance(values[0], list) for values in columns.values())
    is_number = spec.dtype in FLOATS | INTEGERS
    return spec.name if one_vector and flat and is_number and spec.name not in columns else ""


def convert_column(values: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """A column as the tensor of an input, `[rows, *shape]`.

    Raises:
        DataError: the values are not of the input's type or shape.
    """
    tensor = convert_cells(values, spec.dtype, spec.name)
    if spec.shape is not None and tensor.ndim == len(spec.shape) - 1 and spec.shape[-1] == 1:
        tensor = tensor[..., None]
    fits = spec.shape is None or (
        tensor.ndim == len(spec.shape)
        and all(d in (None, size) for d, size in zip(spec.shape[1:], tensor.shape[1:], strict=True))
    )
    if not fits:
        raise DataError(f"The column {spec.name!r} has rows of shape {list(tensor.shape[1:])}; the input is {spec}.")
    return tensor


def select_rows(tensors: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> Columns:
    """Some of the rows."""
    return {name: values[rows] for name, values in tensors.items()}
