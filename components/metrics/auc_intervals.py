"""Intervals of the area under the ROC curve and of the difference of two of them.

Variances come from placements (DeLong, DeLong, Clarke-Pearson, 1988; Sun and Xu, 2014): of each row of the class the
share of the other rows below it, and of each other row the share of the class above it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from taxiway.components.metrics.bootstrap import compute_student_quantile
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.rate_intervals import Z, bisect_boundary

_PRIOR_ROWS = 20
"""Rows of the rarer class at which DeLong's variance counts as much as the one by Hanley and McNeil."""


def compute_auc_interval(positive: NDArray[np.bool_], scores: Floats) -> tuple[float, float]:
    """The interval of an AUC: the areas from which the observed one lies within 1.96 standard errors.

    The standard error of an assumed area is Hanley and McNeil's in Newcombe's form (2006, his method 5), scaled so that
    at the observed area it is DeLong's, as far as there are rows to know that. DeLong's alone, on the logit scale too,
    is far too small where a few rows of a class happen to lie well (of 95 % it holds 80 at 10 rows and an AUC of .96,
    and it is zero where the classes do not overlap); Hanley and McNeil's alone is not for classes that spread unlike.

    Args:
        positive: bool `[rows]`.
        scores: `[rows]`.

    Returns:
        Low and high; NaN where one class has no row, and where all scores are the same, which ranks nothing.
    """
    own, others = _compute_placements(positive, scores)
    if not len(own) or not len(others) or scores.min() == scores.max():
        return float("nan"), float("nan")
    area, sizes = float(own.mean()), (len(own), len(others))
    scale = _compute_scale(_compute_delong_variance(own, others)[0], _compute_hanley_variance(area, *sizes), min(sizes))

    def is_outside(assumed: float) -> bool:
        return abs(area - assumed) > Z * (scale * _compute_hanley_variance(assumed, *sizes)) ** 0.5

    # Bisection, because the standard error depends on the assumed area: the ends have no closed form.
    low = 0.0 if area == 0 else bisect_boundary(is_outside, 0.0, area)
    high = 1.0 if area == 1 else bisect_boundary(lambda end: not is_outside(end), area, 1.0)
    return low, high


def _compute_scale(measured: float, expected: float, rows: int) -> float:
    """How many times the expected variance the true one is: the measured one counts by how many rows it rests on."""
    if not expected > 0 or not 0 < measured < np.inf:
        return 1.0
    weight, quotient = rows / (rows + _PRIOR_ROWS), measured / expected
    # Never below the measured variance: shrinking it towards the prior would make intervals too short.
    return max(quotient, weight * quotient + 1 - weight)


def compute_change_interval(positive: NDArray[np.bool_], first: Floats, second: Floats) -> tuple[float, float]:
    """The interval of AUC(first) - AUC(second) on the same rows, with Student's quantile at its degrees of freedom.

    The variance is DeLong's, but not below its mean with the one that the scores' correlation lets expect (Hanley and
    McNeil, 1983), weighted by the rows of the rarer class. DeLong's alone is far too small where the few rows that
    changed places happen not to be in the sample: of 95 % it then holds 73 to 90.

    A model that gives every row the same score, such as the naive one, has an area of 0.5 and nothing to be unsure of:
    the change is as sure as the other's area. Where no pair of rows changed its order, one is taken to be about to: of
    n pairs without an event, up to 3.84 / n.

    Args:
        positive: bool `[rows]`.
        first, second: `[rows]`, scores of two models.
    """
    ranking = [np.ptp(scores) > 0 for scores in (first, second)] if len(first) else []
    # A constant score has an AUC of exactly 0.5 on every sample; only the other area varies.
    if ranking == [True, False]:
        low, high = compute_auc_interval(positive, first)
        return low - 0.5, high - 0.5
    if ranking == [False, True]:
        low, high = compute_auc_interval(positive, second)
        return 0.5 - high, 0.5 - low
    mine, other = _compute_placements(positive, first), _compute_placements(positive, second)
    own, others = mine[0] - other[0], mine[1] - other[1]
    if not len(own) or not len(others):
        return float("nan"), float("nan")
    variance, reach = _compute_change_variance(own, others, _compute_expected_variance(positive, first, second))
    half, change = reach * variance**0.5, float(own.mean())
    # No row of the class changed its placement: at least the score bound for zero events among n pairs.
    if not own.any():
        half = max(half, Z * Z / (len(own) * len(others) + Z * Z))
    return max(change - half, -1.0), min(change + half, 1.0)


def _compute_change_variance(own: Floats, others: Floats, expected: float) -> tuple[float, float]:
    """The variance of a change, and the quantile of Student's t for 95 %; the prior uses no degrees of freedom."""
    measured, freedom = _compute_delong_variance(own, others)
    if measured == 0:
        return expected, Z
    rows = min(len(own), len(others))
    weight = rows / (rows + _PRIOR_ROWS)
    mixed = weight * measured + (1 - weight) * expected
    # The prior may only widen: a measured variance above it is evidence, one below it may be chance.
    if not measured < mixed < np.inf:
        return measured, compute_student_quantile(freedom)
    # Satterthwaite: only the measured part varies, so its share of the sum decides the degrees of freedom.
    return mixed, compute_student_quantile(freedom * (mixed / (weight * measured)) ** 2)


def _compute_expected_variance(positive: NDArray[np.bool_], first: Floats, second: Floats) -> float:
    """The variance that a change of AUC should have, by the mean area and the correlation of the two rankings."""
    area = sum(float(_compute_placements(positive, scores)[0].mean()) for scores in (first, second)) / 2
    alike = sum(_correlate_ranks(first[side], second[side]) for side in (positive, ~positive)) / 2
    normal = 2 * float(np.sin(np.pi / 6 * alike))  # Spearman's correlation as that of normal scores (Pearson, 1907)
    return max(2 * (1 - normal), 0.0) * _compute_hanley_variance(area, int(positive.sum()), int((~positive).sum()))


def _correlate_ranks(first: Floats, second: Floats) -> float:
    """Spearman's; 1 where both rank nothing, 0 where one of them does."""
    mine, other = (_share_below(scores, scores) for scores in (first, second))
    spread = float(mine.std() * other.std())
    if not spread:
        # A constant side has no standard deviation, so the quotient below would be 0 / 0.
        return float(np.array_equal(mine, other))
    return float(((mine - mine.mean()) * (other - other.mean())).mean()) / spread


def _compute_placements(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """`[rows of the class]`, `[other rows]`: the share of the other side that each row ranks rightly against."""
    own, others = scores[positive], scores[~positive]
    return _share_below(others, own), 1 - _share_below(own, others)


def _share_below(values: Floats, of: Floats) -> Floats:
    """The share of `values` below each of `of`; equal ones count half."""
    ordered = np.sort(values)
    # The sum of both sides counts a tie once instead of twice, so that half of it makes one half.
    ends = np.searchsorted(ordered, of, "left") + np.searchsorted(ordered, of, "right")
    return ends / (2 * max(len(values), 1))


def _compute_delong_variance(own: Floats, others: Floats) -> tuple[float, float]:
    """DeLong's variance of the mean placement, and its degrees of freedom by Satterthwaite."""
    parts = [(float(side.var(ddof=1)) / len(side), len(side) - 1) for side in (own, others) if len(side) > 1]
    # One row of a class has no variance: an AUC then has the prior's, a change may be anything.
    if len(parts) < 2:
        return float("inf"), 1.0
    spent = sum(part**2 / freedom for part, freedom in parts)
    variance = sum(part for part, _ in parts)
    return variance, variance**2 / spent if spent else float("inf")


def _compute_hanley_variance(area: float, own: int, others: int) -> float:
    """The variance of an AUC of that true value, in Newcombe's form: both sides take the mean of their sizes."""
    rows = (own + others) / 2 - 1
    spread = 1 + rows * ((1 - area) / (2 - area) + area / (1 + area))
    return area * (1 - area) * spread / (own * others)
