"""Which split a row belongs to: by a place within its class, an entity's hash, or a time.

Hashes depend on column names and values only: not on the order of rows, columns or files, nor on whether a column was
read as int or as float. `occurrences` makes places of them, `strata` cuts the places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from components.errors import DataError
from components.example_gen.config import SplitConfig
from components.tables.columns import is_text, parse_time

SPLITS = ("train", "eval")
TRAIN, EVAL, LEFT_OUT = 0, 1, 2
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_EXACT_INTEGERS = 2.0**53


def assign(config: SplitConfig, columns: Mapping[str, pa.Array], rows: int, cutoff: float | None) -> np.ndarray:
    """The split of every row by its entity or its time.

    Args:
        config: How to split.
        columns: The converted columns of a batch, `[rows]` each.
        rows: Number of rows.
        cutoff: For `by: time`, the first time that evaluates.

    Returns:
        int8 `[rows]` of `TRAIN`, `EVAL`, `LEFT_OUT`.

    Raises:
        DataError: an entity or a time is missing in a row.
    """
    if config.by == "time":
        return np.where(times(columns[config.column], config.column) >= cutoff, EVAL, TRAIN).astype(np.int8)
    _check_present(columns[config.column], config.column, "entity")
    hashes = row_hashes({config.column: columns[config.column]}, rows, config.salt)
    place = (hashes >> np.uint64(11)) * 2.0**-53  # [0, 1)
    return _split(place < config.train, place < config.train + config.eval)


def assign_by_place(places: np.ndarray, classes: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The split of every row by its place within its class.

    Args:
        places: uint64 `[rows]`.
        classes: Index of the class of each row, `[rows]`.
        cuts: uint64 `[classes, 2]`: the first place that does not train, and the first that does not evaluate either.

    Returns:
        int8 `[rows]` of `TRAIN`, `EVAL`, `LEFT_OUT`.
    """
    return _split(places < cuts[classes, 0], places < cuts[classes, 1])


def _split(trains: np.ndarray, trains_or_evaluates: np.ndarray) -> np.ndarray:
    return np.where(trains, TRAIN, np.where(trains_or_evaluates, EVAL, LEFT_OUT)).astype(np.int8)


def row_hashes(columns: Mapping[str, pa.Array], rows: int, salt: str = "") -> np.ndarray:
    """Hash of each row: uint64 `[rows]`, the same on every machine. A missing value adds nothing."""
    return hashes_with_and_without(columns, rows, "", salt)[0]


def hashes_with_and_without(
    columns: Mapping[str, pa.Array], rows: int, label: str, salt: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of rows, and of the same rows without the column `label`: uint64 `[rows]` each."""
    total = np.full(rows, _word(salt), np.uint64)
    with np.errstate(over="ignore"):
        for name, array in columns.items():
            if name != label:
                total += _column_hashes(name, array)  # a sum: the order of columns does not count
        if label not in columns:
            hashes = mix(total)
            return hashes, hashes
        return mix(total + _column_hashes(label, columns[label])), mix(total)


def _column_hashes(name: str, array: pa.Array) -> np.ndarray:
    hashes = mix(_values(array) + _word(name))
    if array.null_count:
        hashes[np.asarray(array.is_null())] = 0
    return hashes


def _word(text: str | bytes) -> np.uint64:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return np.uint64(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little"))


def _values(array: pa.Array) -> np.ndarray:
    """A uint64 for each value; 1 and 1.0 and true have the same."""
    if is_text(array.type):
        encoded = array.dictionary_encode()
        words = np.array([*map(_word, encoded.dictionary.to_pylist()), 0], np.uint64)
        return words[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    numbers = array.cast(pa.float64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
    words = (numbers + 0.0).view(np.uint64)  # + 0.0: minus zero is zero
    return mix(words + _beyond_float(array, numbers) if pa.types.is_integer(array.type) else words)


def _beyond_float(array: pa.Array, numbers: np.ndarray) -> np.ndarray:
    """What a float64 does not hold of an integer above 2^53, uint64 `[rows]`; 0 for the others: they hash as floats."""
    if not len(numbers) or np.abs(numbers).max() < _EXACT_INTEGERS:
        return np.zeros(len(numbers), np.uint64)
    whole = array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    rounded = np.clip(numbers, -(2.0**63), np.nextafter(2.0**63, 0)).astype(np.int64)
    return (whole - rounded).astype(np.uint64) * _GOLDEN  # spread: the bits of neighbouring floats differ by one


def mix(x: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64 (Steele, Lea, Flood 2014): every input bit changes every output bit."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def times(array: pa.Array, column: str) -> np.ndarray:
    """The column as float64 `[rows]` to compare: numbers as they are, text as seconds since 1970.

    Raises:
        DataError: a value is missing or no time.
    """
    _check_present(array, column, "time")
    seconds = parse_time(array) if is_text(array.type) else array
    if seconds is None:
        raise DataError(
            f"data.split.column {column!r} holds text that is no ISO date or time.",
            f"Say how it is written, as data.types: {{{column}: 'time:%d.%m.%Y'}}, or split by hash.",
        )
    return seconds.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _check_present(array: pa.Array, column: str, what: str) -> None:
    if array.null_count:
        raise DataError(
            f"data.split.column {column!r} has no value in {array.null_count} rows, so they have no {what}.",
            "Fill it in, or split by hash.",
        )


def parse_cutoff(cutoff: str) -> float:
    """`data.split.cutoff` as a number: as written, or an ISO time in seconds since 1970."""
    try:
        return float(cutoff)
    except ValueError:
        seconds = parse_time(pa.array([cutoff]))
    if seconds is None:
        raise DataError(f"data.split.cutoff {cutoff!r} is neither a number nor an ISO date.", "Such as 2013-10-01.")
    return float(seconds[0].as_py())


def quantile_cutoff(sketches: Sequence[tuple[int, Sequence[float]]], train: float) -> float:
    """The time at which the share `train` of all rows is past.

    Args:
        sketches: For each part of the data its number of rows and evenly spaced quantiles of its times.
        train: Share of the rows before the cutoff.

    Raises:
        DataError: all rows have one time.
    """
    values = np.concatenate([np.asarray(points, np.float64) for _, points in sketches])
    weights = np.concatenate([np.full(len(points), rows / len(points)) for rows, points in sketches])
    order = np.argsort(values, kind="stable")
    past = np.cumsum(weights[order]) / weights.sum()
    place = min(int(np.searchsorted(past, train, side="right")), len(values) - 1)
    cutoff = float(values[order][place])
    if cutoff <= values[order][0]:
        later = values[values > cutoff]
        if not len(later):
            raise DataError("data.split.column has the same time in all rows: nothing comes later.", "Split by hash.")
        cutoff = float(later.min())
    return cutoff


def sketch(values: np.ndarray, points: int = 2001) -> list[float]:
    """Evenly spaced quantiles, at most `points` of them, that are values of the data."""
    ordered = np.sort(values)
    if len(ordered) <= points:
        return [float(v) for v in ordered]
    return [float(v) for v in ordered[np.linspace(0, len(ordered) - 1, points).astype(np.int64)]]
