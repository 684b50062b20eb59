"""Numbers the rows that are equal to one another, so that their places are independent.

Equal means equal in every column, the label's included. The order among equal rows does not matter: each split gets
the same number of copies. A hash of the content alone sends all copies to one side, and with them the answer: of two
kinds of rows that differ in the label only, one trains and the other one evaluates.
"""

from __future__ import annotations

import numpy as np

from taxiway.components.example_gen.splits.split import mix_bits

_STEP = np.uint64(0xD1B54A32D192ED03)
"""Odd, so that different numbers of one row give different sums."""


def compute_places(hashes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Pseudo-random places, uint64 `[rows]`, from hashes of content and numbers among equal rows.

    The first of equal rows has its hash as its place, so that a row that occurs once always keeps its place.
    """
    with np.errstate(over="ignore"):
        again = mix_bits(hashes + numbers.astype(np.uint64) * _STEP)
    return np.where(numbers == 0, hashes, again)


class OccurrenceCounter:
    """Numbers rows that come in batches; knows beforehand which hashes come more than once."""

    def __init__(self, repeated: np.ndarray, first: np.ndarray) -> None:
        """Args:
        repeated: Hashes that more than one row has, sorted, uint64 `[n]`; the others need no number.
        first: The number of the first row of each to come, int64 `[n]`.
        """
        self._repeated, self._next = repeated, first.astype(np.int64)

    def number_rows(self, hashes: np.ndarray) -> np.ndarray:
        """The number of each row among equal ones, int64 `[rows]`, counted from 0 over all batches."""
        numbers = np.zeros(len(hashes), np.int64)
        rows, places = find_known(self._repeated, hashes)
        if len(rows):
            order = np.argsort(places, kind="stable")
            ranks = rank_in_runs(places[order])
            numbers[rows[order]] = self._next[places[order]] + ranks
            np.add.at(self._next, places, 1)
        return numbers


def find_known(sorted_values: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of `values` are in `sorted_values` (sorted), and where: two int64 arrays of the same length."""
    if not len(sorted_values):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(sorted_values, values), len(sorted_values) - 1)
    rows = np.flatnonzero(sorted_values[at] == values)
    return rows, at[rows]


def rank_in_runs(ordered: np.ndarray) -> np.ndarray:
    """For sorted values, how many equal ones are before each: int64 `[rows]`."""
    positions = np.arange(len(ordered))
    starts = np.where(mask_run_starts(ordered), positions, 0)
    return positions - np.maximum.accumulate(starts)


def mask_run_starts(ordered: np.ndarray) -> np.ndarray:
    """Mask of the first one of each run of equal values."""
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return first
