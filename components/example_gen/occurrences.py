"""The number of a row among the rows that are equal to it, which makes the places of equal rows independent.

Equal means equal in every column, the label's included. Which of them is the first does not matter: whoever gets which
number, as many copies are in each split. A hash of the content alone sends all copies to one side, and with them the
answer: of two kinds of rows that differ in the label only, one trains and the other one evaluates.
"""

from __future__ import annotations

import numpy as np

from components.example_gen.split import mix

_STEP = np.uint64(0xD1B54A32D192ED03)
"""Odd, so that different numbers of one row give different sums."""


def places(hashes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Pseudo-random places, uint64 `[rows]`, from hashes of content and numbers among equal rows.

    The first of equal rows has its hash as its place, so that a row that is there once keeps its own for good.
    """
    with np.errstate(over="ignore"):
        again = mix(hashes + numbers.astype(np.uint64) * _STEP)
    return np.where(numbers == 0, hashes, again)


class Occurrences:
    """Numbers rows that come in batches; knows beforehand which hashes come more than once."""

    def __init__(self, repeated: np.ndarray, first: np.ndarray) -> None:
        """Args:
        repeated: Hashes that more than one row has, sorted, uint64 `[n]`; the others need no number.
        first: The number of the first row of each to come, int64 `[n]`.
        """
        self._repeated, self._next = repeated, first.astype(np.int64)

    def number(self, hashes: np.ndarray) -> np.ndarray:
        """The number of each row among equal ones, int64 `[rows]`, counted from 0 over all batches."""
        numbers = np.zeros(len(hashes), np.int64)
        rows, known = find(self._repeated, hashes)
        if len(rows):
            order = np.argsort(known, kind="stable")
            ranks = rank_in_runs(known[order])
            numbers[rows[order]] = self._next[known[order]] + ranks
            np.add.at(self._next, known, 1)
        return numbers


def find(known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of `values` are in `known` (sorted), and where: two int64 arrays of the same length."""
    if not len(known):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    rows = np.flatnonzero(known[at] == values)
    return rows, at[rows]


def rank_in_runs(ordered: np.ndarray) -> np.ndarray:
    """For sorted values, how many equal ones are before each: int64 `[rows]`."""
    positions = np.arange(len(ordered))
    starts = np.where(is_new(ordered), positions, 0)
    return positions - np.maximum.accumulate(starts)


def is_new(ordered: np.ndarray) -> np.ndarray:
    """Mask of the first one of each run of equal values."""
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return first
