"""Rows of Python values (from JSON, csv, a command line) as what a column takes, and answers as Python values.

No TensorFlow: the client of a server needs none.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from components.errors import DataError

Row = Mapping[str, Any]


def convert(value: Any, dtype: str, column: str) -> Any:
    """One cell as its column's type; None where it is missing (None, an empty text, or NaN in a column of integers).

    Args:
        value: As JSON or csv gave it.
        dtype: `string`, `int64`, `float32` and the like.
        column: For the error.

    Raises:
        DataError: The value is not of that type.
    """
    if value is None or value == "":
        return None
    try:
        if dtype == "string":
            return value if isinstance(value, (str, bytes)) else _text(value)
        if dtype.startswith(("int", "uint")):
            return _integer(value)
        if dtype == "bool":
            return _boolean(value)
        return float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"Column {column!r} takes {dtype}, not {value!r}.", "Correct the row.") from error


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _integer(value: Any) -> int | None:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:  # "3.0", as spreadsheets and data frames write integers
            value = float(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if not value.is_integer():
            raise ValueError(value)
    return int(value)


def _boolean(value: Any) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    word = str(value).strip().lower()
    if word not in words:
        raise ValueError(value)
    return words[word]


def unknown_columns(rows: Iterable[Row], known: Iterable[str]) -> list[str]:
    """Columns of the rows that the model does not take, such as the label."""
    return sorted({column for row in rows for column in row} - set(known))


def check_any_known(rows: Sequence[Row], known: Iterable[str]) -> None:
    """Raises `DataError` where a row has none of the model's columns: it is another table, or a list was expected."""
    known = set(known)
    for number, row in enumerate(rows):
        if not known & set(row):
            raise DataError(
                f"Row {number} has none of the model's columns; it has {', '.join(sorted(row)) or 'nothing'}.",
                f"The model takes {', '.join(sorted(known))}.",
            )


def answers_by_row(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Outputs `[rows, ...]` as one dictionary a row: numbers where there is one a row, else lists; text for bytes."""
    columns = {name: [_plain(value) for value in values] for name, values in outputs.items()}
    count = len(next(iter(columns.values()), []))
    return [{name: values[row] for name, values in columns.items()} for row in range(count)]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value[0]) if value.shape == (1,) else [_plain(v) for v in value]
    if isinstance(value, bytes):
        return _decode(value)
    return value.item() if isinstance(value, np.generic) else value


def _decode(value: bytes) -> Any:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode("ascii")}
