"""Intervals of rates: of a share of rows, and of the difference of two shares of the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""The normal distribution's 97.5 % quantile: every interval here is one of 95 %."""
_HALVINGS = 60
"""Steps of a bisection: an interval of length 2 is then narrower than the last bit of a float64 near 1."""


def compute_wilson_interval(hits: float, rows: float) -> tuple[float, float]:
    """Wilson's score interval of a share (1927). Never empty: all of 50 rows right is at least .929."""
    if rows <= 0:
        return float("nan"), float("nan")
    share, square = hits / rows, Z * Z / rows
    # The roots of the score equation |share - p| = Z sqrt(p (1 - p) / rows), solved for p.
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * (share * (1 - share) / rows + square / (4 * rows)) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


def count_rows_for_share(limit: float) -> float:
    """Rows on which no row of the other kind proves a share, or a difference of shares, to be within a limit.

    Wilson's and Tango's intervals of none among n end at Z^2 / (n + Z^2). Infinite where the limit is 0.
    """
    return math.ceil(Z * Z * (1 - limit) / limit - 1e-9) if limit > 0 else math.inf


def compute_tango_interval(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[float, float]:
    """Tango's score interval of share(first) - share(second) on the same rows (1998).

    Never empty: where no row differs among n, the difference is within 3.84 / (n + 3.84).

    Args:
        first, second: bool `[rows]`: which rows each of two models decides right.
    """
    rows = len(first)
    if not rows:
        return float("nan"), float("nan")
    gained, lost = int((first & ~second).sum()), int((~first & second).sum())

    def score_difference(difference: float) -> float:
        return _compute_tango_score(gained, lost, rows, difference)

    observed = (gained - lost) / rows
    # The score falls as the assumed difference grows: it is Z at the low end, -Z at the high one.
    low = bisect_boundary(lambda difference: score_difference(difference) > Z, -1.0, observed)
    high = bisect_boundary(lambda difference: score_difference(difference) > -Z, observed, 1.0)
    return low, high


def _compute_tango_score(gained: int, lost: int, rows: int, difference: float) -> float:
    """How many standard errors the observed difference lies above an assumed one; falls as that one grows."""
    linear = -gained - lost + (2 * rows - gained + lost) * difference
    constant = -lost * difference * (1 - difference)
    # The share of lost rows that is most likely under the assumed difference: the larger root of Tango's quadratic.
    share = (max(linear**2 - 8 * rows * constant, 0.0) ** 0.5 - linear) / (4 * rows)
    variance = rows * (2 * share + difference * (1 - difference))
    # The floor avoids 0 / 0 where the assumed difference is -1, 0 or 1 and no row contradicts it.
    return (gained - lost - rows * difference) / max(variance, 1e-300) ** 0.5


def bisect_boundary(above: Callable[[float], bool], low: float, high: float) -> float:
    """The point between `low` and `high` up to which a condition holds that holds at `low`."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if above(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2
