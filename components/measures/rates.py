"""Intervals of rates: of a share of rows, and of the difference of two shares of the same rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""The normal distribution's 97.5 % quantile: every interval here is one of 95 %."""
_HALVINGS = 60


def wilson(hits: float, rows: float) -> tuple[float, float]:
    """Wilson's score interval of a share (1927). Never empty: all of 50 rows right is at least .929."""
    if rows <= 0:
        return float("nan"), float("nan")
    share, square = hits / rows, Z * Z / rows
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * (share * (1 - share) / rows + square / (4 * rows)) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


def tango(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[float, float]:
    """Tango's score interval of share(first) - share(second) on the same rows (1998).

    Never empty: where no row differs among n, the difference is within 3.84 / (n + 3.84).

    Args:
        first, second: bool `[rows]`: which rows each of two models decides right.
    """
    rows = len(first)
    if not rows:
        return float("nan"), float("nan")
    gained, lost = int((first & ~second).sum()), int((~first & second).sum())

    def score(difference: float) -> float:
        return _tango_score(gained, lost, rows, difference)

    observed = (gained - lost) / rows
    low = bisect(lambda difference: score(difference) > Z, -1.0, observed)
    high = bisect(lambda difference: score(difference) > -Z, observed, 1.0)
    return low, high


def _tango_score(gained: int, lost: int, rows: int, difference: float) -> float:
    """How many standard errors the observed difference lies above an assumed one; falls as that one grows."""
    linear = -gained - lost + (2 * rows - gained + lost) * difference
    constant = -lost * difference * (1 - difference)
    share = (max(linear**2 - 8 * rows * constant, 0.0) ** 0.5 - linear) / (4 * rows)
    variance = rows * (2 * share + difference * (1 - difference))
    return (gained - lost - rows * difference) / max(variance, 1e-300) ** 0.5


def bisect(above: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition that holds at `low` ceases to hold before `high`."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if above(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2
