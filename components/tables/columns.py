"""The types of columns: inferred over all files, then every batch is converted to them. Arrow only.

A column is of one *kind*. Kinds form a small order: what is an int in one file and a float in another is a float; what
fits nothing else is a string.

=======  ==========================================  ==========
kind     read from                                   in examples
=======  ==========================================  ==========
int      whole numbers                               int64
float    numbers; NaN and infinities are missing     float32
string   text                                        bytes
bool     true and false                              int64
time     timestamps, dates; whole seconds (UTC)      int64
null     nothing but missing values                  refused
=======  ==========================================  ==========

Codes are text: with a leading zero, hexadecimal, `12E4`, `+49...`, and whole numbers beyond 2^53, of which a float
makes others. What `data.types` writes after a colon says how text is written: `float:1.234,5`, `time:%d.%m.%Y`,
`time:ms`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.errors import DataError
from components.tables.config import TIME_UNITS
from components.tables.number_format import parse_format

Kind = Literal["null", "int", "float", "string", "bool", "time"]

ARROW_TYPES = {
    "null": pa.null(),
    "int": pa.int64(),
    "float": pa.float64(),
    "string": pa.large_binary(),
    "bool": pa.bool_(),
    "time": pa.int64(),
}
_ONLY_DIGITS = re.compile(r"(%[YymdHMSj])+")
"""Formats of times whose text is a number."""
_YEAR_1000 = -30_610_224_000
"""Seconds from 1970 back to the first day of the year 1000: `%Y` writes years with four digits."""
EXACT = 2**53
"""Whole numbers up to here are exact as float64."""
CODE = r"^\s*(?:0(?:[0-9]+|[xX][0-9a-fA-F]+)|\+[0-9]{7,}|[+-]?[0-9]{17,})\s*$"
"""Texts that parse as numbers, but would not come back as they were: leading zeros, hexadecimal, phone numbers."""
EXPONENT_CODE = r"^\s*[0-9]+[eE][0-9]+\s*$"
"""Such as 12E4. Programs that print numbers write 1.2e5, 1e+05 or 12e-4."""
_PROBED = 100
_TRUE, _FALSE = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0"}


class UnsupportedColumnError(DataError):
    """A column that holds no single values; `column` is its name, `reason` goes on after it."""

    def __init__(self, problem: str, remedy: str, column: str, reason: str) -> None:
        super().__init__(problem, remedy)
        self.column = column
        self.reason = reason


def merge_kinds(one: Kind, other: Kind) -> Kind:
    """The kind that holds the values of both."""
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    return "float" if {one, other} == {"int", "float"} else "string"


def is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
    )


def kind_of_type(kind: pa.DataType, column: str, file: str) -> Kind:
    """The kind of a typed column.

    Raises:
        DataError: the type has no place in a table of single values (lists, structs, durations).
    """
    if pa.types.is_dictionary(kind):
        return kind_of_type(kind.value_type, column, file)
    if pa.types.is_null(kind):
        return "null"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    if is_text(kind):
        return "string"
    raise UnsupportedColumnError(
        f"{file}: column {column!r} is of type {kind}, which is not one value a row.",
        f"Leave it out (data.leave_out: [{column}]; init --leave-out), or make columns of its parts first.",
        column,
        f"is of type {kind}, which is not one value a row",
    )


def infer_kind(array: pa.Array, known: Kind, column: str, file: str) -> Kind:
    """The kind that holds `known` and this array; text is tried as numbers, and as true and false."""
    if array.null_count == len(array):
        return known if is_text(array.type) else merge_kinds(known, kind_of_type(array.type, column, file))
    if not is_text(array.type) or known == "string":
        return merge_kinds(known, _typed_kind(array, column, file))
    if known in ("null", "bool") and is_true_or_false(array):
        return "bool"
    if known in ("bool", "time"):
        return "string"
    for kind in ("int", "float") if known != "float" else ("float",):
        numbers = parse_numbers(array, ARROW_TYPES[kind])
        if numbers is not None:
            return "string" if has_codes(array, numbers) else merge_kinds(known, kind)  # type: ignore[arg-type]
    return "string"


def _typed_kind(array: pa.Array, column: str, file: str) -> Kind:
    kind = kind_of_type(array.type, column, file)
    return "string" if pa.types.is_integer(array.type) and _is_beyond_exact(array) else kind


def _is_beyond_exact(integers: pa.Array) -> bool:
    bounds = pc.min_max(integers).as_py()
    return bounds["min"] is not None and (bounds["min"] < -EXACT or bounds["max"] > EXACT)


def is_true_or_false(array: pa.Array) -> bool:
    """Whether all values of a text are `true` and `false` in any case: as JSON and Parquet write them."""
    first = array.drop_null()[:1].to_pylist()[0]
    if (first.encode() if isinstance(first, str) else first).strip().lower() not in (b"true", b"false"):
        return False
    words = pc.match_substring_regex(as_strings(array), r"^\s*(?i:true|false)\s*$")
    return bool(pc.all(words).as_py())


def has_codes(array: pa.Array, numbers: pa.Array) -> bool:
    """Whether text that parses as `numbers` holds codes: different ones may be one number, or are none."""
    strings = as_strings(array)
    if pa.types.is_integer(numbers.type) and _is_beyond_exact(numbers):
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
    strings = as_strings(array)
    first = array.slice(0, _PROBED)
    # Arrow words an error for every value that is no number: a few of them show whether it is worth it.
    if len(array) > 2 * _PROBED and first.null_count < len(first) and parse_numbers(first, target) is None:
        return None
    numbers = _try(lambda: strings.cast(target))
    if numbers is None and _is_padded_number(array):
        numbers = _try(lambda: _bare(strings).cast(target))
    return numbers


def _bare(strings: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(strings), r"^\+", "")


def parse_formatted(array: pa.Array, form: str, target: pa.DataType) -> pa.Array | None:
    """Text as numbers in the format that an example such as `1.234,5` shows; None if one value is not so written."""
    written = parse_format(form)
    strings = as_strings(array)
    if written is None or not pc.all(matches_format(strings, form)).as_py():
        return None
    bare = pc.replace_substring_regex(strings, written.pattern, r"\1")
    if written.thousands:
        bare = pc.replace_substring_regex(bare, rf"[^\deE+{re.escape(written.decimal)}-]", "")
    numbers = _try(lambda: pc.replace_substring(bare, written.decimal, ".").cast(target))
    if numbers is None:
        return None
    return pc.if_else(pc.match_substring_regex(strings, written.negative_pattern), pc.negate(numbers), numbers)


def matches_format(strings: pa.Array, form: str) -> pa.Array:
    """Which texts are numbers in the format of the example: bool `[rows]`."""
    written = parse_format(form)
    if written is None:
        return pa.array([False] * len(strings))
    found = pc.match_substring_regex(strings, written.pattern)
    balanced = pc.equal(pc.match_substring(strings, "("), pc.match_substring(strings, ")"))
    found = pc.and_(found, balanced)
    if "%" not in (written.before, written.after):
        return found
    return pc.and_(found, pc.or_(pc.match_substring(strings, "%"), pc.match_substring_regex(strings, r"^[\s0.,]*$")))


def as_strings(array: pa.Array) -> pa.Array:
    """Text of any Arrow type as `large_string`, bytes unchecked (see `invalid_text`)."""
    large = array.cast(pa.large_binary()) if not pa.types.is_large_string(array.type) else array
    return large if pa.types.is_large_string(large.type) else large.view(pa.large_string())


def _is_padded_number(array: pa.Array) -> bool:
    # Trimming costs more than parsing: look at one value first.
    first = array.drop_null()[:1].to_pylist()[0]
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else first
    try:
        float(text)
    except ValueError:
        return False
    return True


def convert(array: pa.Array, kind: str) -> tuple[pa.Array, np.ndarray | None]:
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
        return _from_text(array, kind)
    return _each_if_wrong(array, kind, _from_typed)


def _from_typed(array: pa.Array, kind: str) -> pa.Array | None:
    """Typed values as the kind, or None if one of them is not of it (1.5 or 2^64 as an int)."""
    base, _, form = kind.partition(":")
    try:
        if form in TIME_UNITS and not _is_point_in_time(array.type):
            return _counted_seconds(array, form)
        if base == "time" and _ONLY_DIGITS.fullmatch(form) and not _is_point_in_time(array.type):
            # 20240131 is a date as `%Y%m%d` writes it, not a count of seconds; whole floats are such numbers too.
            return parse_time(array.cast(pa.int64()).cast(pa.large_string()), form)
        return _cast(array, base)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _cast(array: pa.Array, base: str) -> pa.Array:
    if base == "string":
        return array.cast(pa.string()).cast(pa.large_binary())
    if _is_point_in_time(array.type):
        array = _seconds(array)
    if base == "float":
        return finite(array.cast(pa.float64(), safe=False))
    return array.cast(ARROW_TYPES[base])


def _is_point_in_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _counted_seconds(array: pa.Array, unit: str) -> pa.Array:
    """Numbers of seconds, milli-, micro- or nanoseconds since 1970 as whole seconds; parts of a second are cut off."""
    if pa.types.is_floating(array.type):
        array = pc.floor(array)
    counts = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    # Arrow divides towards zero, which would put the last second before 1970 into the first one after it.
    return pa.array(counts // TIME_UNITS[unit], mask=array.is_null().to_numpy(zero_copy_only=False))


def _seconds(array: pa.Array) -> pa.Array:
    """Dates and timestamps of any unit as whole seconds since 1970, UTC; parts of a second are cut off."""
    return array.cast(pa.timestamp("s"), safe=False).cast(pa.int64())


def finite(array: pa.Array) -> pa.Array:
    """NaN and infinities as missing values: a z-score or a loss of them would be NaN for every row."""
    valid = pc.is_finite(array)
    if pc.all(valid).as_py() in (True, None):
        return array
    return pc.if_else(valid, array, pa.scalar(None, array.type))


def _from_text(array: pa.Array, kind: str) -> tuple[pa.Array, np.ndarray | None]:
    if kind == "string":
        return _without_empty(array.cast(pa.large_binary())), invalid_text(array)
    return _each_if_wrong(array, kind, _parse)


def _without_empty(array: pa.Array) -> pa.Array:
    """An empty text is a missing value in every format: to a served model an empty text is a missing one."""
    empty = pc.equal(pc.binary_length(array), 0)
    if not pc.any(empty).as_py():
        return array
    return pc.if_else(empty, pa.scalar(None, array.type), array)


def _each_if_wrong(
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


def _parse(array: pa.Array, kind: str) -> pa.Array | None:
    """Text as values of the kind, or None if one value is not of it, or no text at all."""
    return _try(lambda: _parse_text(array, kind))


def _parse_text(array: pa.Array, kind: str) -> pa.Array | None:
    if array.null_count == len(array):
        return pa.nulls(len(array), ARROW_TYPES[kind.partition(":")[0]])
    base, _, form = kind.partition(":")
    if base in ("int", "float"):
        target = ARROW_TYPES[base]
        numbers = parse_formatted(array, form, target) if form else parse_numbers(array, target)
        return None if numbers is None else finite(numbers) if base == "float" else numbers
    if base == "bool":
        return _parse_bool(array)
    if form in TIME_UNITS:
        whole = parse_numbers(array, pa.int64())
        counts = parse_numbers(array, pa.float64()) if whole is None else whole
        return None if counts is None else _counted_seconds(counts, form)
    parsed = parse_time(array, form)
    return parse_numbers(array, pa.int64()) if parsed is None and kind == "time" else parsed


def _parse_bool(array: pa.Array) -> pa.Array | None:
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(as_strings(array))).to_pylist()
    if any(t is not None and t not in _TRUE | _FALSE for t in texts):
        return None
    return pa.array([None if t is None else t in _TRUE for t in texts], pa.bool_())


def parse_time(array: pa.Array, pattern: str = "") -> pa.Array | None:
    """Text as int64 seconds since 1970 (UTC), or None if one value is none.

    Args:
        array: Text, `[rows]`.
        pattern: Of `strptime`; empty: ISO 8601 dates and times, with or without a zone.
    """
    texts = as_strings(array).cast(pa.string())
    if pattern:
        parsed = _try(lambda: _seconds(pc.strptime(texts, format=pattern, unit="s")))
        # `%Y` also takes the 24 of 1/31/24, for a year of the first century: its weekdays are others.
        early = parsed is not None and "%Y" in pattern and pc.any(pc.less(parsed, _YEAR_1000)).as_py()
        return None if early else parsed
    for target in (pa.timestamp("us"), pa.timestamp("us", tz="UTC")):
        parsed = _try(lambda target=target: _seconds(texts.cast(target)))  # type: ignore[misc]
        if parsed is not None:
            return parsed
    return None


def calendar_columns(columns: Mapping[str, pa.Array], calendar: Mapping[str, Sequence[str]]) -> dict[str, pa.Array]:
    """Parts of points in time, int64 `[rows]`, named `COLUMN_PART`.

    Args:
        columns: The converted columns; those that `calendar` names are int64 seconds since 1970 (UTC).
        calendar: By column, some of month (1 to 12), day (1 to 31), weekday (0 is Monday), hour, minute.
    """
    functions = {"month": pc.month, "day": pc.day, "weekday": pc.day_of_week, "hour": pc.hour, "minute": pc.minute}
    return {
        f"{column}_{part}": functions[part](columns[column].cast(pa.timestamp("s"))).cast(pa.int64())
        for column, parts in calendar.items()
        for part in parts
    }


def _try(work: Any) -> pa.Array | None:
    try:
        return work()
    except pa.ArrowInvalid:
        return None


def invalid_text(array: pa.Array) -> np.ndarray | None:
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


def encodable(array: pa.Array) -> pa.Array:
    """int64, float32 or binary: what a `tf.Example` holds."""
    if is_text(array.type):
        return array.cast(pa.large_binary()) if not pa.types.is_large_binary(array.type) else array
    if pa.types.is_floating(array.type):
        return array.cast(pa.float32(), safe=False)
    return array.cast(pa.int64())


def check_kinds(kinds: Mapping[str, str], where: str) -> None:
    """Refuses columns without one value.

    Raises:
        DataError: names them.
    """
    empty = [name for name, kind in kinds.items() if kind == "null"]
    if empty:
        listed = ", ".join(map(repr, empty))
        raise DataError(
            f"{where}: column {listed} holds no value in any row."
            if len(empty) == 1
            else f"{where}: columns {listed} hold no value in any row.",
            f"Leave them out (data.leave_out: [{', '.join(empty)}]), say what they will hold one day "
            "(data.types), or mend the data.",
        )
