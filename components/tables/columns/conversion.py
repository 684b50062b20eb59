"""The values of a column as the Arrow type of its kind, and which of them are not of the kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxiway.components.tables.columns.kinds import ARROW_TYPES
from taxiway.components.tables.columns.numbers import mask_non_finite, parse_formatted, parse_numbers
from taxiway.components.tables.columns.texts import (
    cast_to_strings,
    find_invalid_text,
    is_text,
    mask_empty_texts,
    try_conversion,
)
from taxiway.components.tables.columns.times import (
    ONLY_DIGITS,
    convert_counts_to_seconds,
    convert_times_to_seconds,
    is_point_in_time,
    parse_time,
)
from taxiway.components.tables.config import TIME_UNITS

_TRUE, _FALSE = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0"}


def convert_values(array: pa.Array, kind: str) -> tuple[pa.Array, np.ndarray | None]:
    """Values as the kind's Arrow type.

    Args:
        array: A column of a batch, `[rows]`.
        kind: A kind, or `time:FORMAT`.

    Returns:
        The values, and a mask of the rows whose value is not of that kind, or None when all are.
    """
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_null(array.type):
        return array.cast(ARROW_TYPES[kind.partition(":")[0]]), None
    if is_text(array.type):
        return _convert_text(array, kind)
    return _convert_with_mask(array, kind, _convert_typed)


def _convert_typed(array: pa.Array, kind: str) -> pa.Array | None:
    """Typed values as the kind, or None if one of them is not of it (1.5 or 2^64 as an int)."""
    base, _, form = kind.partition(":")
    try:
        if form in TIME_UNITS and not is_point_in_time(array.type):
            return convert_counts_to_seconds(array, form)
        if base == "time" and ONLY_DIGITS.fullmatch(form) and not is_point_in_time(array.type):
            # 20240131 is a date as `%Y%m%d` writes it, not a count of seconds; whole floats are such numbers too.
            return parse_time(array.cast(pa.int64()).cast(pa.large_string()), form)
        return _cast_values(array, base)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _cast_values(array: pa.Array, base: str) -> pa.Array:
    if base == "string":
        return array.cast(pa.string()).cast(pa.large_binary())
    if is_point_in_time(array.type):
        array = convert_times_to_seconds(array)
    if base == "float":
        return mask_non_finite(array.cast(pa.float64(), safe=False))
    return array.cast(ARROW_TYPES[base])


def _convert_text(array: pa.Array, kind: str) -> tuple[pa.Array, np.ndarray | None]:
    if kind == "string":
        return mask_empty_texts(array.cast(pa.large_binary())), find_invalid_text(array)
    return _convert_with_mask(array, kind, _try_parse_text)


def _convert_with_mask(
    array: pa.Array, kind: str, work: Callable[[pa.Array, str], pa.Array | None]
) -> tuple[pa.Array, np.ndarray | None]:
    """All values at once, or one by one where one is wrong, to know which."""
    whole = work(array, kind)
    if whole is not None:
        return whole, None
    singles = [work(array.slice(i, 1), kind) for i in range(len(array))]
    missing = pa.nulls(1, ARROW_TYPES[kind.partition(":")[0]])
    wrong = np.array([single is None for single in singles])
    return pa.concat_arrays([missing if single is None else single for single in singles]), wrong


def _try_parse_text(array: pa.Array, kind: str) -> pa.Array | None:
    """Text as values of the kind, or None if one value is not of it, or no text at all."""
    return try_conversion(lambda: _parse_text(array, kind))


def _parse_text(array: pa.Array, kind: str) -> pa.Array | None:
    if array.null_count == len(array):
        return pa.nulls(len(array), ARROW_TYPES[kind.partition(":")[0]])
    base, _, form = kind.partition(":")
    if base in ("int", "float"):
        target = ARROW_TYPES[base]
        numbers = parse_formatted(array, form, target) if form else parse_numbers(array, target)
        return None if numbers is None else mask_non_finite(numbers) if base == "float" else numbers
    if base == "bool":
        return _parse_bool(array)
    if form in TIME_UNITS:
        whole = parse_numbers(array, pa.int64())
        counts = parse_numbers(array, pa.float64()) if whole is None else whole
        return None if counts is None else convert_counts_to_seconds(counts, form)
    parsed = parse_time(array, form)
    return parse_numbers(array, pa.int64()) if parsed is None and kind == "time" else parsed


def _parse_bool(array: pa.Array) -> pa.Array | None:
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(cast_to_strings(array))).to_pylist()
    if any(t is not None and t not in _TRUE | _FALSE for t in texts):
        return None
    return pa.array([None if t is None else t in _TRUE for t in texts], pa.bool_())


def cast_for_examples(array: pa.Array) -> pa.Array:
    """int64, float32 or binary: what a `tf.Example` holds."""
    if is_text(array.type):
        return array.cast(pa.large_binary()) if not pa.types.is_large_binary(array.type) else array
    if pa.types.is_floating(array.type):
        return array.cast(pa.float32(), safe=False)
    return array.cast(pa.int64())
