"""What training asks of all labels: their number, classes, mean and spread, whose size is not that of the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_CLASSES = 1 << 16
"""Whole numbers below it are counted as indices of classes."""


@dataclass(frozen=True)
class LabelFacts:
    """Facts of labels; those of no rows are the defaults.

    Attributes:
        rows: The number of labels.
        low, high: The smallest and the largest one.
        mean: Their mean.
        squares: The sum of squared distances from the mean.
        finite: Whether all are finite numbers; where not, the other facts but `rows` have no meaning.
        counts: How often each index of a class occurs; empty where the labels are no such indices.
    """

    rows: int = 0
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0
    finite: bool = True
    counts: tuple[int, ...] = ()

    @classmethod
    def summarize_labels(cls, labels: np.ndarray) -> LabelFacts:
        """The facts of labels `[rows]`, numbers."""
        if not len(labels):
            return cls()
        if not np.isfinite(labels).all():
            return cls(rows=len(labels), finite=False)
        low, high = float(labels.min()), float(labels.max())
        deviation = float(np.std(labels, dtype=np.float64))
        counts = _count_classes(labels) if low >= 0 and high < MOST_CLASSES else ()
        return cls(
            len(labels), low, high, float(np.mean(labels, dtype=np.float64)), deviation**2 * len(labels), True, counts
        )

    @classmethod
    def from_counts(cls, counts: Sequence[int]) -> LabelFacts:
        """The facts of indices of classes, by how often each occurs."""
        classes, weights = np.arange(len(counts)), np.asarray(counts, np.float64)
        there = np.flatnonzero(weights)
        if not len(there):
            return cls()
        mean = float(np.average(classes, weights=weights))
        squares = float((weights * (classes - mean) ** 2).sum())
        return cls(int(sum(counts)), float(there[0]), float(there[-1]), mean, squares, True, tuple(counts))

    def merge_facts(self, other: LabelFacts) -> LabelFacts:
        """The facts of both together (Chan, Golub and LeVeque 1979 for the mean and the squares)."""
        if not self.rows or not other.rows:
            return self if self.rows else other
        rows = self.rows + other.rows
        if not (self.finite and other.finite):
            return LabelFacts(rows=rows, finite=False)
        distance = other.mean - self.mean
        squares = self.squares + other.squares + distance**2 * self.rows * other.rows / rows
        mean = self.mean + distance * other.rows / rows
        counts = _add_counts(self.counts, other.counts) if self.counts and other.counts else ()
        return LabelFacts(rows, min(self.low, other.low), max(self.high, other.high), mean, squares, True, counts)

    @property
    def deviation(self) -> float:
        """The standard deviation, of the population."""
        return math.sqrt(self.squares / self.rows) if self.rows else 0.0


def _count_classes(labels: np.ndarray) -> tuple[int, ...]:
    indices = labels.astype(np.int64)
    return tuple(np.bincount(indices.reshape(-1)).tolist()) if (indices == labels).all() else ()


def _add_counts(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    shorter, longer = sorted((first, second), key=len)
    return tuple(a + b for a, b in zip((*shorter, *[0] * (len(longer) - len(shorter))), longer, strict=True))
