"""Text as numbers, numbers that are codes, and numbers that are missing values."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from taxiway.components.tables.columns.texts import cast_to_strings, try_conversion
from taxiway.components.tables.number_format import parse_format

EXACT = 2**53
"""Whole numbers up to here are exact as float64."""
CODE = r"^\s*(?:0(?:[0-9]+|[xX][0-9a-fA-F]+)|\+[0-9]{7,}|[+-]?[0-9]{17,})\s*$"
"""Texts that parse as numbers, but would not come back as they were: leading zeros, hexadecimal, phone numbers."""
EXPONENT_CODE = r"^\s*[0-9]+[eE][0-9]+\s*$"
"""Such as 12E4. Programs that print numbers write 1.2e5, 1e+05 or 12e-4."""
_PROBED = 100


def is_beyond_exact(integers: pa.Array) -> bool:
    bounds = pc.min_max(integers).as_py()
    return bounds["min"] is not None and (bounds["min"] < -EXACT or bounds["max"] > EXACT)


def has_codes(array: pa.Array, numbers: pa.Array) -> bool:
    """Whether text that parses as `numbers` holds codes, of which different ones may parse as one number."""
    strings = cast_to_strings(array)
    if pa.types.is_integer(numbers.type) and is_beyond_exact(numbers):
        return True
    if _any_matches(strings, _may_be_code(strings), CODE):
        return True
    if pa.types.is_integer(numbers.type) or pc.any(pc.match_substring(strings, ".")).as_py():
        return False
    return bool(pc.any(pc.match_substring_regex(strings, EXPONENT_CODE)).as_py())


def _may_be_code(strings: pa.Array) -> pa.Array:
    """Which texts may match `CODE`, by their first character and length: much faster than the expression."""
    mask = pc.greater_equal(pc.binary_length(strings), 17)
    for start in ("0", "+", " ", "\t"):
        mask = pc.or_(mask, pc.starts_with(strings, start))
    return mask


def _any_matches(strings: pa.Array, mask: pa.Array, pattern: str) -> bool:
    chosen = strings.filter(mask)
    return len(chosen) > 0 and bool(pc.any(pc.match_substring_regex(chosen, pattern)).as_py())


def parse_numbers(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Text as numbers, spaces around them and a plus before them ignored; None if one value is no number."""
    strings = cast_to_strings(array)
    first = array.slice(0, _PROBED)
    # Arrow words an error for every value that is no number: a few of them show whether it is worth it.
    if len(array) > 2 * _PROBED and first.null_count < len(first) and parse_numbers(first, target) is None:
        return None
    numbers = try_conversion(lambda: strings.cast(target))
    if numbers is None and _is_padded_number(array):
        numbers = try_conversion(lambda: _strip_number(strings).cast(target))
    return numbers


def _strip_number(strings: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(strings), r"^\+", "")


def parse_formatted(array: pa.Array, form: str, target: pa.DataType) -> pa.Array | None:
    """Text as numbers in the format that an example such as `1.234,5` shows; None if one value is not so written."""
    written = parse_format(form)
    strings = cast_to_strings(array)
    if written is None or not pc.all(matches_format(strings, form)).as_py():
        return None
    bare = pc.replace_substring_regex(strings, written.pattern, r"\1")
    if written.thousands:
        bare = pc.replace_substring_regex(bare, rf"[^\deE+{re.escape(written.decimal)}-]", "")
    numbers = try_conversion(lambda: pc.replace_substring(bare, written.decimal, ".").cast(target))
    if numbers is None:
        return None
    return pc.if_else(pc.match_substring_regex(strings, written.negative_pattern), pc.negate(numbers), numbers)


def matches_format(strings: pa.Array, form: str) -> pa.Array:
    """Which texts are numbers in the format of the example: bool `[rows]`."""
    written = parse_format(form)
    if written is None:
        return pa.array([False] * len(strings))
    matches = pc.match_substring_regex(strings, written.pattern)
    balanced = pc.equal(pc.match_substring(strings, "("), pc.match_substring(strings, ")"))
    matches = pc.and_(matches, balanced)
    if "%" not in (written.before, written.after):
        return matches
    return pc.and_(matches, pc.or_(pc.match_substring(strings, "%"), pc.match_substring_regex(strings, r"^[\s0.,]*$")))


def _is_padded_number(array: pa.Array) -> bool:
    """Whether the first value is a number once it is trimmed: trimming all of them costs more than parsing them."""
    first = cast_to_strings(array.drop_null()[:1])  # asked of Arrow: Python's float takes `1_000` and other digits
    return try_conversion(lambda: _strip_number(first).cast(pa.float64())) is not None


def mask_non_finite(array: pa.Array) -> pa.Array:
    """NaN and infinities as missing values: a z-score or a loss of them would be NaN for every row."""
    valid = pc.is_finite(array)
    if pc.all(valid).as_py() in (True, None):
        return array
    return pc.if_else(valid, array, pa.scalar(None, array.type))
