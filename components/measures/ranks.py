"""Intervals of the area under the ROC curve and of the difference of two of them (DeLong, DeLong, Clarke-Pearson, 1988).

Variances come from placements (Sun and Xu, 2014): of each row of the class the share of the other rows below it, and of
each other row the share of the class above it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.measures.areas import Floats
from components.measures.rates import Z, _bisect


def auc_interval(positive: NDArray[np.bool_], scores: Floats) -> tuple[float, float]:
    """The interval of an AUC: DeLong's, on the scale of the logit, so that it stays between 0 and 1.

    Where the classes hardly overlap DeLong's variance is too small, at no overlap zero: there the variance is the one
    that Hanley and McNeil (1982) give for the bound itself, as in Newcombe's fifth method (2006).

    Args:
        positive: bool `[rows]`.
        scores: `[rows]`.

    Returns:
        Low and high; NaN where one class has no row, and where all scores are the same, which ranks nothing.
    """
    own, others = _placements(positive, scores)
    if not len(own) or not len(others) or scores.min() == scores.max():
        return float("nan"), float("nan")
    area = float(own.mean())
    score_low, score_high = _score_interval(area, len(own), len(others))
    error = _variance(own, others) ** 0.5
    if not 0 < area < 1 or error <= 0:
        return score_low, score_high
    logit, step = np.log(area / (1 - area)), Z * error / (area * (1 - area))
    low, high = (float(1 / (1 + np.exp(-end))) for end in (logit - step, logit + step))
    return low, high


def auc_change_interval(positive: NDArray[np.bool_], first: Floats, second: Floats) -> tuple[float, float]:
    """The interval of AUC(first) - AUC(second) on the same rows.

    Where no pair of rows changed its order, one is taken to be about to: of n pairs without an event, up to 3.84 / n.

    Args:
        positive: bool `[rows]`.
        first, second: `[rows]`, scores of two models.
    """
    mine, other = _placements(positive, first), _placements(positive, second)
    own, others = mine[0] - other[0], mine[1] - other[1]
    if not len(own) or not len(others):
        return float("nan"), float("nan")
    change, error = float(own.mean()), _variance(own, others) ** 0.5
    half = max(Z * error, Z * Z / (len(own) * len(others) + Z * Z))
    return max(change - half, -1.0), min(change + half, 1.0)


def _placements(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """`[rows of the class]`, `[other rows]`: the share of the other side that each row ranks rightly against."""
    own, others = scores[positive], scores[~positive]
    return _below(others, own), 1 - _below(own, others)


def _below(values: Floats, of: Floats) -> Floats:
    """The share of `values` below each of `of`; equal ones count half."""
    ordered = np.sort(values)
    ends = np.searchsorted(ordered, of, "left") + np.searchsorted(ordered, of, "right")
    return ends / (2 * max(len(values), 1))


def _variance(own: Floats, others: Floats) -> float:
    parts = (side.var(ddof=1) / len(side) if len(side) > 1 else np.inf for side in (own, others))
    return float(sum(parts))


def _score_interval(area: float, own: int, others: int) -> tuple[float, float]:
    """The areas from which the observed one lies within `Z` standard errors by Hanley and McNeil's variance."""

    def far(assumed: float) -> bool:
        return abs(area - assumed) > Z * _hanley(assumed, own, others) ** 0.5

    low = 0.0 if area == 0 else _bisect(far, 0.0, area)
    high = 1.0 if area == 1 else _bisect(lambda end: not far(end), area, 1.0)
    return low, high


def _hanley(area: float, own: int, others: int) -> float:
    """The variance of an AUC of that true value, in Newcombe's form: both sides take the mean of their sizes."""
    rows = (own + others) / 2 - 1
    spread = 1 + rows * ((1 - area) / (2 - area) + area / (1 + area))
    return area * (1 - area) * spread / (own * others)
