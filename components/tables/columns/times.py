"""Points in time: text, counts and timestamps as whole seconds since 1970 (UTC), and their calendar parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from taxiway.components.tables.columns.texts import cast_to_strings, try_conversion
from taxiway.components.tables.config import TIME_UNITS

ONLY_DIGITS = re.compile(r"(%[YymdHMSj])+")
"""Formats of times whose text is a number."""
_YEAR_1000 = -30_610_224_000
"""Seconds from 1970 back to the first day of the year 1000: `%Y` writes years with four digits."""


def is_point_in_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def convert_counts_to_seconds(array: pa.Array, unit: str) -> pa.Array:
    """Numbers of seconds, milli-, micro- or nanoseconds since 1970 as whole seconds; parts of a second are cut off."""
    if pa.types.is_floating(array.type):
        array = pc.floor(array)
    counts = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    # Arrow divides towards zero, which would put the last second before 1970 into the first one after it.
    return pa.array(counts // TIME_UNITS[unit], mask=array.is_null().to_numpy(zero_copy_only=False))


def convert_times_to_seconds(array: pa.Array) -> pa.Array:
    """Dates and timestamps of any unit as whole seconds since 1970, UTC; parts of a second are cut off."""
    return array.cast(pa.timestamp("s"), safe=False).cast(pa.int64())


def parse_time(array: pa.Array, pattern: str = "") -> pa.Array | None:
    """Text as int64 seconds since 1970 (UTC), or None if one value is not a time.

    Args:
        array: Text, `[rows]`.
        pattern: The pattern of `strptime`; empty: ISO 8601 dates and times, with or without a zone.
    """
    texts = cast_to_strings(array).cast(pa.string())
    if pattern:
        parsed = try_conversion(lambda: convert_times_to_seconds(pc.strptime(texts, format=pattern, unit="s")))
        # `%Y` also takes the 24 of 1/31/24, for a year of the first century: its weekdays are others.
        early = parsed is not None and "%Y" in pattern and pc.any(pc.less(parsed, _YEAR_1000)).as_py()
        return None if early else parsed
    for target in (pa.timestamp("us"), pa.timestamp("us", tz="UTC")):
        parsed = try_conversion(lambda target=target: convert_times_to_seconds(texts.cast(target)))  # type: ignore[misc]
        if parsed is not None:
            return parsed
    return None


def make_calendar_columns(
    columns: Mapping[str, pa.Array], calendar: Mapping[str, Sequence[str]]
) -> dict[str, pa.Array]:
    """Parts of points in time, int64 `[rows]`, named `COLUMN_PART`.

    Args:
        columns: The converted columns; those that `calendar` names are int64 seconds since 1970 (UTC).
        calendar: The parts wanted of each column: month (1 to 12), day (1 to 31), weekday (0 is Monday), hour, minute.
    """
    functions = {"month": pc.month, "day": pc.day, "weekday": pc.day_of_week, "hour": pc.hour, "minute": pc.minute}
    return {
        f"{column}_{part}": functions[part](columns[column].cast(pa.timestamp("s"))).cast(pa.int64())
        for column, parts in calendar.items()
        for part in parts
    }
