"""Cells of rows as tensors of one type: nothing is rounded, cut off or written as its repr. Plain numpy.

A cell is a number, a text, or a list of them as deep as the tensor is; None and NaN are a missing one.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from taxiway.components.errors import DataError
from taxiway.components.optimizer.given_model.signatures import FLOATS, INTEGERS, STRING

_SCALARS = (bool, int, float, decimal.Decimal, datetime.date, datetime.time, np.generic)
_MOST_DIGITS = 30
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def convert_cells(values: NDArray[Any], dtype: str, name: str) -> NDArray[Any]:
    """Cells `[rows]`, or an array `[rows, ...]`, as a tensor `[rows, ...]` of a type.

    Args:
        values: Cells as objects, or an array of numbers.
        dtype: TensorFlow's name of the type.
        name: Column's name, for errors.

    Raises:
        DataError: A cell is not of the type, or does not have the shape of the others.
    """
    if values.dtype != object and dtype != STRING:
        return cast_exactly(values, dtype, name)
    rows = [_convert_cell(cell, dtype, name, row) for row, cell in enumerate(values)]
    shapes = {row.shape: number for number, row in reversed(list(enumerate(rows)))}
    if len(shapes) > 1:
        (first, _), (other, number) = sorted(shapes.items(), key=lambda item: item[1])[:2]
        raise DataError(
            f"The column {name!r} has the shape {list(first)} in row 0 and {list(other)} in row {number}.",
            "The rows of a tensor have one shape: fill shorter ones up as the model was trained on them.",
        )
    if dtype == STRING:
        return _stack_objects(rows)
    if len({row.dtype.kind for row in rows}) > 1:  # together they would be floats, which have 53 bits
        rows = [cast_exactly(values[None], dtype, name, row)[0] for row, values in enumerate(rows)]
    return cast_exactly(np.stack(rows), dtype, name)


def list_values(cell: Any, dtype: str, name: str, row: int) -> list[Any]:
    """The values of a cell one behind another, as `tf.Example` has them; none where it is missing.

    Raises:
        DataError: A value is not of the type.
    """
    if is_missing(cell):
        return []
    values = _convert_cell(cell, dtype, name, row)
    flat: list[Any] = (values if dtype == STRING else cast_exactly(values[None], dtype, name, row)).ravel().tolist()
    return flat


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, or a number that is none."""
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def cast_exactly(tensor: NDArray[Any], dtype: str, name: str, first_row: int = 0) -> NDArray[Any]:
    """A tensor `[rows, ...]` as another type of numbers, where that changes no value; floats may lose digits.

    Raises:
        DataError: A value would change: a fraction, a missing or too large one.
    """
    if dtype not in FLOATS | INTEGERS | {"bool"}:
        raise DataError(f"The input {name!r} is {dtype}, which rows of a file cannot hold.")
    with np.errstate(invalid="ignore", over="ignore"):
        converted: NDArray[Any] = tensor.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
        if dtype in FLOATS:
            changed = np.isfinite(tensor.astype(np.float64)) & ~np.isfinite(converted.astype(np.float64))
        else:
            changed = (converted.astype(tensor.dtype) != tensor) | ((converted < 0) != (tensor < 0))
    if changed.any():
        row = int(np.argmax(changed.reshape(len(changed), -1).any(axis=1)))
        value = tensor[row][changed[row]] if tensor.ndim > 1 else tensor[row]
        raise DataError(
            f"The column {name!r} holds {np.ravel(value)[0]} in row {first_row + row}, and the input takes {dtype}.",
            "Fractions, missing and too large values are not cut to fit: give the values that the model is served.",
        )
    return converted


def _convert_cell(cell: Any, dtype: str, name: str, row: int) -> NDArray[Any]:
    """A cell as an array: of bytes, or of numbers that `cast_exactly` then takes."""
    if dtype != STRING:
        numbers = _read_numbers(cell)
        if numbers is not None:
            return numbers
    leaves, shape = _flatten_cell(cell, name, row)
    try:
        if dtype == STRING:
            return _make_object_vector([_read_text(leaf) for leaf in leaves]).reshape(shape)
        return _pack_numbers([_read_number(leaf, dtype) for leaf in leaves]).reshape(shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"The column {name!r} holds in row {row} what is no {'text' if dtype == STRING else 'number'}: {error}.",
            f"The model takes {dtype}: a value, or lists of them as deep as the input is.",
        ) from error


def _read_numbers(cell: Any) -> NDArray[Any] | None:
    """A number, or lists of numbers of one shape, read by numpy; None where it is something else."""
    if cell is None or isinstance(cell, str | bytes | Mapping):
        return None
    try:
        numbers = np.asarray(cell)
    except (ValueError, TypeError, OverflowError):  # lists of several lengths
        return None
    is_plain = numbers.dtype.kind in "iufb" or numbers.dtype.name == "bfloat16"
    return numbers if is_plain and numbers.size else None


def _flatten_cell(cell: Any, name: str, row: int) -> tuple[list[Any], tuple[int, ...]]:
    """The values of nested lists, and their shape."""
    if not isinstance(cell, list | tuple | np.ndarray):
        return [cell], ()
    if isinstance(cell, np.ndarray) and cell.ndim == 0:
        return [cell.item()], ()
    parts = [_flatten_cell(part, name, row) for part in cell]
    shapes = sorted({shape for _, shape in parts})
    if len(shapes) > 1:
        raise DataError(
            f"The column {name!r} has lists of several lengths in row {row}: {', '.join(map(str, map(list, shapes)))}.",
            "A tensor has one shape: fill shorter lists up as the model was trained on them.",
        )
    return [leaf for leaves, _ in parts for leaf in leaves], (len(parts), *(shapes[0] if shapes else ()))


def _read_text(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if is_missing(value):
        return b""
    if isinstance(value, (str, *_SCALARS)):
        return str(value).encode()
    raise TypeError(f"{value!r:.80}")


def _read_number(value: Any, dtype: str) -> int | float:
    """A number of a text, a decimal or a plain number; an integer is read as one, since floats have 53 bits."""
    if is_missing(value):
        return np.nan
    if not isinstance(value, str | bytes | int | float | decimal.Decimal | np.number | np.bool_):
        raise TypeError(f"{value!r:.80}")
    text = (value.decode() if isinstance(value, bytes) else str(value)).strip().lower()
    if dtype == "bool" and text in _TRUTHS:
        return _TRUTHS[text]
    return _read_integer(text) if dtype in INTEGERS else float(text)


def _read_integer(text: str) -> int | float:
    try:
        exact = decimal.Decimal(text)
    except decimal.InvalidOperation as error:
        raise ValueError(f"{text!r:.80}") from error
    is_integer = exact.is_finite() and exact.adjusted() < _MOST_DIGITS and exact == exact.to_integral_value()
    return int(exact) if is_integer else float(exact)


def _pack_numbers(parsed: list[int | float]) -> NDArray[Any]:
    """As integers where all are, even above 2^63."""
    numbers = np.array(parsed) if parsed else np.empty(0)
    return numbers if numbers.dtype != object else np.array(parsed, np.float64)


def _stack_objects(rows: list[NDArray[Any]]) -> NDArray[Any]:
    """`[rows, ...]` of bytes."""
    return _make_object_vector([value for row in rows for value in row.ravel()]).reshape(len(rows), *rows[0].shape)


def _make_object_vector(values: list[bytes]) -> NDArray[Any]:
    """numpy would take bytes for texts of a fixed width, without the zeros at their end."""
    vector = np.empty(len(values), object)
    vector[:] = values
    return vector
