"""The kinds of columns, inferred over all files. Arrow only.

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

from collections.abc import Mapping
from typing import Literal

import pyarrow as pa

from taxiway.components.errors import DataError
from taxiway.components.tables.columns.numbers import has_codes, is_beyond_exact, parse_numbers
from taxiway.components.tables.columns.texts import is_text, is_true_or_false

Kind = Literal["null", "int", "float", "string", "bool", "time"]

ARROW_TYPES = {
    "null": pa.null(),
    "int": pa.int64(),
    "float": pa.float64(),
    "string": pa.large_binary(),
    "bool": pa.bool_(),
    "time": pa.int64(),
}


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


def find_type_kind(kind: pa.DataType, column: str, file: str) -> Kind:
    """The kind of a typed column.

    Raises:
        DataError: the type has no place in a table of single values (lists, structs, durations).
    """
    if pa.types.is_dictionary(kind):
        return find_type_kind(kind.value_type, column, file)
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


def infer_kind(array: pa.Array, earlier: Kind, column: str, file: str) -> Kind:
    """The kind that holds `earlier` and this array; text is tried as numbers, and as true and false."""
    if array.null_count == len(array):
        return earlier if is_text(array.type) else merge_kinds(earlier, find_type_kind(array.type, column, file))
    if not is_text(array.type) or earlier == "string":
        return merge_kinds(earlier, _infer_typed_kind(array, column, file))
    if earlier in ("null", "bool") and is_true_or_false(array):
        return "bool"
    if earlier in ("bool", "time"):
        return "string"
    for kind in ("int", "float") if earlier != "float" else ("float",):
        numbers = parse_numbers(array, ARROW_TYPES[kind])
        if numbers is not None:
            return "string" if has_codes(array, numbers) else merge_kinds(earlier, kind)  # type: ignore[arg-type]
    return "string"


def _infer_typed_kind(array: pa.Array, column: str, file: str) -> Kind:
    kind = find_type_kind(array.type, column, file)
    return "string" if pa.types.is_integer(array.type) and is_beyond_exact(array) else kind


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
