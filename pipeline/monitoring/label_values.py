"""Values of ids and labels: what a log holds, what a file says, and when the two are the same."""

from __future__ import annotations

import datetime
import decimal
import math
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.errors import DataError
from taxiway.components.saved_models.training_reference import ReferenceScores

MOST_SHOWN = 40
"""Characters of an id in a message."""
_FLOAT32_MAX = float(np.finfo(np.float32).max)

Value = bytes | int | float | None
"""A text, a whole number, another number; None: missing."""


def spell_logged(value: Any) -> Value:
    """A value of the log, or of a column that is read as training read it: a text, or a number."""
    if _is_missing(value) or value == b"":
        return None
    return value if isinstance(value, bytes) else _spell_number(value)


def spell_read(value: Any, is_number: bool) -> Value:
    """A value of a file's column that training did not know, as the log's column would hold it.

    Args:
        value: Value as Parquet, JSON lines or csv gives it: a csv cell is a text.
        is_number: Whether the log's column has numbers.
    """
    if isinstance(value, bytes):
        text: str | None = value.decode("utf-8", "surrogateescape")
    elif isinstance(value, str):
        text = value
    elif isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        text = value.isoformat()
    else:
        text = None
    if text is None:
        if _is_missing(value):
            return None
        number = _spell_number(value)
        return number if is_number else str(number if isinstance(number, int) else value).encode()
    if is_number and (parsed := _parse_number(text)) is not None:
        return parsed
    return text.encode("utf-8", "surrogateescape") or None


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _spell_number(value: Any) -> int | float | bytes:
    """Whole numbers as such, others as float32, which is what a log holds of them."""
    if isinstance(value, int | np.integer) or (
        isinstance(value, decimal.Decimal) and value == value.to_integral_value()
    ):
        return int(value)
    try:
        number = float(value)
    except (TypeError, ValueError):  # a list, a record
        return str(value).encode()
    if number.is_integer():
        return int(number)
    return float(np.float32(number)) if abs(number) < _FLOAT32_MAX else number


def _parse_number(text: str) -> int | float | None:
    """The number that a text spells as numbers are spelled; None of `0012`, `+5` and ` 7`: they are names."""
    plain = text.removeprefix("-")
    if not text.isascii() or not plain[:1].isdigit() or "_" in text or text != text.strip():
        return None
    whole = plain.partition(".")[0].partition("e")[0].partition("E")[0]
    if len(whole) > 1 and whole.startswith("0"):
        return None
    try:
        number = int(text) if plain.isdigit() else _spell_number(float(text))
    except ValueError:
        return None
    return number if isinstance(number, int | float) else None


def format_key(key: tuple[Any, ...]) -> str:
    """An id for a message: texts in quotation marks, numbers without."""
    return " / ".join(map(_format_value, key))


def _format_value(value: Value) -> str:
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "replace")[:MOST_SHOWN])
    return f"{value:.9g}" if isinstance(value, float) else str(value)


class LabelParser:
    """From the labels of a file to class indices or values."""

    def __init__(self, scores: ReferenceScores, file: Path) -> None:
        self._is_value, self._file = scores.task == "regression", file
        self._classes = list(scores.classes) or ["0", "1"]

    def parse_label(self, value: Any) -> float | None:
        """A class's index, or a number; None where there is none.

        Raises:
            DataError: It is no class of the model, or no finite number.
        """
        if _is_missing(value) or value in ("", b""):
            return None
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        return self._parse_value(value) if self._is_value else float(self._find_class(value))

    def _parse_value(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{self._file}: the label {value!r} is no number.", "Correct the file.")
        return number

    def _find_class(self, value: Any) -> int:
        """By its name as it is written; else the only class that is the same number or the same word of truth."""
        if str(value) in self._classes and not isinstance(value, bool):
            return self._classes.index(str(value))
        same = [index for index, name in enumerate(self._classes) if _find_meaning(name) == _find_meaning(value)]
        if len(same) != 1:
            raise DataError(
                f"{self._file}: the label {value!r} is no class of the model.",
                f"Its classes are: {', '.join(self._classes)}.",
            )
        return same[0]


def _find_meaning(value: Any) -> Any:
    """A number where it is one; true and false as 1 and 0."""
    text = str(value).strip().lower()
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return str(value)
