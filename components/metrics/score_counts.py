"""Rows by score, added up from parts: what an area under a curve needs, in memory that has a bound."""

from __future__ import annotations

import numpy as np

from taxiway.components.metrics.curve_areas import Floats

MOST_SCORES = 1_000_000
"""Distinct scores that are told apart exactly; 24 bytes each."""
_COARSER_BITS = (20, 16, 12, 10)


class ScoreCounts:
    """How many rows of a class, and how many others, have each score.

    Scores are told apart exactly up to `most` distinct ones; beyond, to 20 significant bits (one part in a million),
    and to fewer where even those are too many.

    Attributes:
        score: float64 `[n]`: the scores that occur, ascending.
        own: float64 `[n]`: rows of the class with this score, or their weights.
        others: float64 `[n]`: the other rows, likewise.
    """

    def __init__(self, most: int = MOST_SCORES) -> None:
        self.score, self.own, self.others = np.zeros(0), np.zeros(0), np.zeros(0)
        self._most = most

    def add_rows(self, score: Floats, own: Floats, others: Floats) -> None:
        """Adds rows: their scores and weights, all `[rows]`; a row counts on one side and is 0 on the other."""
        self._combine_counts(
            np.concatenate([self.score, np.asarray(score, np.float64)]),
            np.concatenate([self.own, own]),
            np.concatenate([self.others, others]),
        )
        for bits in _COARSER_BITS:
            if len(self.score) <= self._most:
                return
            self._combine_counts(_round_scores(self.score, bits), self.own, self.others)

    def merge_counts(self, other: ScoreCounts) -> None:
        """Adds what another part counted."""
        self.add_rows(other.score, other.own, other.others)

    def _combine_counts(self, score: Floats, own: Floats, others: Floats) -> None:
        self.score, index = np.unique(score, return_inverse=True)
        # numpy's stubs promise whole numbers
        self.own = np.bincount(index, own, len(self.score)).astype(np.float64, copy=False)
        self.others = np.bincount(index, others, len(self.score)).astype(np.float64, copy=False)


def _round_scores(score: Floats, bits: int) -> Floats:
    mantissa, exponent = np.frexp(score)
    return np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent)
