"""Spells typed values as training's texts spelled them, and reads whole numbers as data frames write them."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pyarrow as pa

from taxiway.components.tables.columns.conversion import convert_values
from taxiway.components.tables.columns.numbers import EXACT
from taxiway.components.tables.columns.texts import is_text
from taxiway.components.tables.seen_words import KnownWords

_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")


def respell_as_trained(array: pa.Array, known_words: KnownWords | None, from_json: bool) -> pa.Array:
    """Values for a text column, in the spelling that training had: JSON's `true` is the csv's `True`.

    Args:
        array: The values, of any type, `[rows]`.
        known_words: The words that training saw; None: not known.
        from_json: Texts may be JSON values beside texts: `true` among them is respelled too.
    """
    if pa.types.is_boolean(array.type) or pa.types.is_floating(array.type):
        values = [
            None if v is None or v != v else _choose_spelling(_list_spellings(v), known_words)
            for v in array.to_pylist()
        ]
        return pa.array(values, pa.large_binary())
    if is_text(array.type) and from_json and known_words is not None:
        return pa.array(
            [_respell_text(v, known_words) for v in array.cast(pa.large_binary()).to_pylist()], pa.large_binary()
        )
    return array


def _list_spellings(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    plain = str(pa.scalar(value).cast(pa.string()).as_py())
    whole = (str(int(value)),) if float(value).is_integer() else ()
    return (plain, repr(value), *whole)


def _choose_spelling(candidates: tuple[str, ...], known_words: KnownWords | None) -> bytes:
    """The first spelling that training had, else the first."""
    texts = [candidate.encode() for candidate in candidates]
    return next((text for text in texts if known_words is not None and known_words.seen_in_data(text)), texts[0])


def _respell_text(value: bytes | None, known_words: KnownWords) -> bytes | None:
    if value is None or known_words.seen_in_data(value):
        return value
    text = value.decode("utf-8", "replace")
    return (
        _choose_spelling(next((words for words in (_TRUE, _FALSE) if text in words), (text,)), known_words)
        if text
        else value
    )


def restore_whole_numbers(array: pa.Array, kind: str) -> pa.Array:
    """`3.0` as 3, as spreadsheets and data frames write whole numbers beside missing ones; otherwise unchanged.

    The array comes back as it is where another value is no whole number: its error names it.
    """
    if not (is_text(array.type) or pa.types.is_floating(array.type)):
        return array
    whole, wrong = convert_values(array, kind)
    if wrong is None:
        return array
    floats, no_number = convert_values(array, kind.replace("int", "float", 1))
    numbers = floats.to_numpy(zero_copy_only=False)
    with contextlib.suppress(TypeError), np.errstate(invalid="ignore"):
        fits = np.isnan(numbers) | ((np.trunc(numbers) == numbers) & (np.abs(numbers) < EXACT))
        if no_number is None and fits[wrong].all():
            values = [_choose_value(*pair) for pair in zip(whole.to_pylist(), floats.to_pylist(), strict=True)]
            return pa.array(values, pa.int64())
    return array


def _choose_value(whole: int | None, number: float | None) -> int | None:
    return int(number) if whole is None and number is not None else whole
