"""Columns of text: bytes and strings of any Arrow type, and what is no text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
    )


def is_true_or_false(array: pa.Array) -> bool:
    """Whether all values of a text are `true` and `false` in any case: as JSON and Parquet write them."""
    first = array.drop_null()[:1].to_pylist()[0]
    if (first.encode() if isinstance(first, str) else first).strip().lower() not in (b"true", b"false"):
        return False
    words = pc.match_substring_regex(cast_to_strings(array), r"^\s*(?i:true|false)\s*$")
    return bool(pc.all(words).as_py())


def cast_to_strings(array: pa.Array) -> pa.Array:
    """Text of any Arrow type as `large_string`, bytes unchecked (see `find_invalid_text`)."""
    large = array.cast(pa.large_binary()) if not pa.types.is_large_string(array.type) else array
    return large if pa.types.is_large_string(large.type) else large.view(pa.large_string())


def mask_empty_texts(array: pa.Array) -> pa.Array:
    """An empty text is a missing value in every format: to a served model an empty text is a missing one."""
    empty = pc.equal(pc.binary_length(array), 0)
    if not pc.any(empty).as_py():
        return array
    return pc.if_else(empty, pa.scalar(None, array.type), array)


def try_conversion(work: Any) -> pa.Array | None:
    try:
        return work()
    except pa.ArrowInvalid:
        return None


def find_invalid_text(array: pa.Array) -> np.ndarray | None:
    """Mask of values that are not UTF-8 or hold a NUL, or None when all are text."""
    large = array.cast(pa.large_binary())
    nul = pc.any(pc.match_substring(large.view(pa.large_string()), "\0")).as_py()
    try:
        large.cast(pa.large_string())
        if not nul:
            return None
    except pa.ArrowInvalid:
        pass
    return np.array([value is not None and _is_not_text(value) for value in large.to_pylist()])


def _is_not_text(value: bytes) -> bool:
    try:
        return "\0" in value.decode("utf-8")
    except UnicodeDecodeError:
        return True


def trim_texts(array: pa.Array) -> pa.Array:
    """Text without the ASCII spaces around it (`csv.trim`), as `large_binary`."""
    return pc.ascii_trim_whitespace(cast_to_strings(array)).view(pa.large_binary())


def mask_null_words(array: pa.Array, words: Iterable[str]) -> pa.Array:
    """Text with these words as missing values; other arrays as they are."""
    if pa.types.is_dictionary(array.type) and is_text(array.type.value_type):
        array = array.cast(array.type.value_type)
    if not is_text(array.type):
        return array
    binary = array.cast(pa.binary()) if not pa.types.is_large_string(array.type) else array.cast(pa.large_binary())
    listed = pa.array([word.encode() for word in words], binary.type)
    return pc.if_else(pc.is_in(binary, value_set=listed), pa.scalar(None, binary.type), binary)
