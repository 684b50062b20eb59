"""Which split a row belongs to: by a place within its class, an entity's hash, or a time.

Hashes depend on column names and values only: not on the order of rows, columns or files, nor on whether a column was
read as int or as float. `occurrences` makes places of them, `strata` cuts the places.
"""

from __future__ import annotations

import fnmatch
import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from taxiway.components.contract import SPLITS, TRAIN_SPLIT
from taxiway.components.errors import ConfigError, DataError
from taxiway.components.example_gen.config import SplitConfig
from taxiway.components.tables.columns.numbers import EXACT
from taxiway.components.tables.columns.texts import is_text
from taxiway.components.tables.columns.times import parse_time
from taxiway.components.text.lists import join_first

TRAIN, EVAL, TEST, LEFT_OUT = 0, 1, 2, 3
"""Indices of `contract.SPLITS`, and of the rows that no split takes."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def assign_by_column(
    config: SplitConfig, columns: Mapping[str, pa.Array], rows: int, cutoffs: Sequence[float]
) -> np.ndarray:
    """The split of every row by its entity or its time.

    Args:
        config: The section `data.split`.
        columns: The converted columns of a batch, `[rows]` each.
        rows: Number of rows.
        cutoffs: For `by: time` the first time that evaluates and, where there is a split `test`, its first time.

    Returns:
        int8 `[rows]` of `TRAIN`, `EVAL`, `TEST`, `LEFT_OUT`.

    Raises:
        DataError: an entity or a time is missing in a row.
    """
    if config.by == "time":
        times = convert_times(columns[config.column], config.column)
        return np.searchsorted(np.asarray(cutoffs), times, side="right").astype(np.int8)
    _check_no_nulls(columns[config.column], config.column, "entity")
    hashes = hash_rows({config.column: columns[config.column]}, rows, config.salt)
    place = (hashes >> np.uint64(11)) * 2.0**-53  # [0, 1)
    return np.searchsorted(_sum_shares(config), place, side="right").astype(np.int8)


def _sum_shares(config: SplitConfig) -> np.ndarray:
    """Where the places of `train`, `eval` and `test` end, float64 `[3]`."""
    ends = np.cumsum([config.train, config.eval, config.test_share])
    return np.where([math.isclose(end, 1, abs_tol=1e-9) for end in ends], 1.0, ends)


def find_file_split(config: SplitConfig, path: str) -> int:
    """The split of all rows of a file, by its name or its whole path: `TRAIN`, `EVAL` or `TEST`."""
    patterns = {TEST: config.files.get("test", ""), EVAL: config.files.get("eval", "")}
    for split, pattern in patterns.items():
        if pattern and any(fnmatch.fnmatchcase(name, pattern) for name in (path, path.rpartition("/")[2])):
            return split
    return TRAIN


def check_file_splits(config: SplitConfig, paths: Sequence[str]) -> None:
    """Raises `ConfigError` where the patterns leave a split without a file."""
    found = {SPLITS[find_file_split(config, path)] for path in paths}
    for split in (TRAIN_SPLIT, *config.files):
        if split not in found:
            wanted = f"{config.files[split]!r}" if split in config.files else "any other name"
            raise ConfigError(
                f"data.split.files: no file for {split!r} ({wanted}) among {join_first(sorted(set(paths)), 3)}.",
                "A pattern names files as a shell does, such as '*_test.csv', or a whole path.",
            )


def assign_by_place(places: np.ndarray, classes: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The split of every row by its place within its class.

    Args:
        places: uint64 `[rows]`.
        classes: Index of the class of each row, `[rows]`.
        cuts: uint64 `[classes, 3]`: the first place that does not train, the first that does not evaluate either, and
            the first that is in no split.

    Returns:
        int8 `[rows]` of `TRAIN`, `EVAL`, `TEST`, `LEFT_OUT`.
    """
    return sum((places >= cuts[classes, i] for i in range(cuts.shape[1])), np.zeros(len(places), np.int8))


def hash_rows(columns: Mapping[str, pa.Array], rows: int, salt: str = "") -> np.ndarray:
    """Hash of each row: uint64 `[rows]`, the same on every machine. A missing value adds nothing."""
    return hash_rows_and_features(columns, rows, "", salt)[0]


def hash_rows_and_features(
    columns: Mapping[str, pa.Array], rows: int, label: str, salt: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of rows, and of the same rows without the column `label`: uint64 `[rows]` each."""
    total = np.full(rows, _hash_text(salt), np.uint64)
    with np.errstate(over="ignore"):
        for name, array in columns.items():
            if name != label:
                total += _hash_column(name, array)  # a sum: the order of columns does not count
        if label not in columns:
            hashes = mix_bits(total)
            return hashes, hashes
        return mix_bits(total + _hash_column(label, columns[label])), mix_bits(total)


def _hash_column(name: str, array: pa.Array) -> np.ndarray:
    hashes = mix_bits(_hash_values(array) + _hash_text(name))
    if array.null_count:
        hashes[np.asarray(array.is_null())] = 0
    return hashes


def _hash_text(text: str | bytes) -> np.uint64:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return np.uint64(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little"))


def _hash_values(array: pa.Array) -> np.ndarray:
    """A uint64 for each value; 1 and 1.0 and true have the same."""
    if is_text(array.type):
        encoded = array.dictionary_encode()
        words = np.array([*map(_hash_text, encoded.dictionary.to_pylist()), 0], np.uint64)
        return words[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    numbers = array.cast(pa.float64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
    words = (numbers + 0.0).view(np.uint64)  # + 0.0: minus zero is zero
    return mix_bits(words + _compute_lost_precision(array, numbers) if pa.types.is_integer(array.type) else words)


def _compute_lost_precision(array: pa.Array, numbers: np.ndarray) -> np.ndarray:
    """What a float64 does not hold of an integer above 2^53, uint64 `[rows]`; 0 for the others: they hash as floats."""
    if not len(numbers) or np.abs(numbers).max() < EXACT:
        return np.zeros(len(numbers), np.uint64)
    whole = array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    rounded = np.clip(numbers, -(2.0**63), np.nextafter(2.0**63, 0)).astype(np.int64)
    return (whole - rounded).astype(np.uint64) * _GOLDEN  # spread: the bits of neighbouring floats differ by one


def mix_bits(x: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64 (Steele, Lea, Flood 2014): every input bit changes every output bit."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def convert_times(array: pa.Array, column: str) -> np.ndarray:
    """The column as float64 `[rows]` to compare: numbers as they are, text as seconds since 1970.

    Raises:
        DataError: a value is missing or no time.
    """
    _check_no_nulls(array, column, "time")
    seconds = parse_time(array) if is_text(array.type) else array
    if seconds is None:
        raise DataError(
            f"data.split.column {column!r} holds text that is no ISO date or time.",
            f"Say how it is written, as data.types: {{{column}: 'time:%d.%m.%Y'}}, or split by hash.",
        )
    return seconds.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _check_no_nulls(array: pa.Array, column: str, what: str) -> None:
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


def compute_cutoffs(sketches: Sequence[tuple[int, Sequence[float]]], config: SplitConfig) -> list[float]:
    """The first times of `eval` and, where the configuration has one, of `test`: the share `test` is the latest rows.

    Args:
        sketches: The number of rows of each part of the data, and evenly spaced quantiles of its times.
        config: The section `data.split`.

    Raises:
        DataError: the rows have fewer different times than there are splits.
    """
    cutoff = _find_cutoff(sketches, config.train, -math.inf)
    return [cutoff, _find_cutoff(sketches, 1 - config.test_share, cutoff)] if config.test_share else [cutoff]


def count_times(sketches: Sequence[tuple[int, Sequence[float]]]) -> int:
    """How many different times the sketches have."""
    return len(np.unique(np.concatenate([np.asarray(points, np.float64) for _, points in sketches])))


def _find_cutoff(sketches: Sequence[tuple[int, Sequence[float]]], share: float, after: float) -> float:
    """The time at which a share of all rows is past: later than the first time, and than `after`."""
    values = np.concatenate([np.asarray(points, np.float64) for _, points in sketches])
    weights = np.concatenate([np.full(len(points), rows / len(points)) for rows, points in sketches])
    order = np.argsort(values, kind="stable")
    past = np.cumsum(weights[order]) / weights.sum()
    place = min(int(np.searchsorted(past, share, side="right")), len(values) - 1)
    cutoff, bound = float(values[order][place]), max(after, float(values.min()))
    if cutoff <= bound:
        later = values[values > bound]
        if not len(later):
            raise DataError(
                "data.split.column has too few different times: nothing comes later than "
                f"{'the rows that evaluate' if after > values.min() else 'the first rows'}.",
                "Split by hash." if after <= values.min() else "Split by hash, or without a test split: test: 0.",
            )
        cutoff = float(later.min())
    return cutoff


def sketch_quantiles(values: np.ndarray, points: int = 2001) -> list[float]:
    """Evenly spaced quantiles, at most `points` of them, that are values of the data."""
    ordered = np.sort(values)
    if len(ordered) <= points:
        return [float(v) for v in ordered]
    return [float(v) for v in ordered[np.linspace(0, len(ordered) - 1, points).astype(np.int64)]]
