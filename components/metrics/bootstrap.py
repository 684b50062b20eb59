"""The bootstrap: rows drawn again with replacement, within each class, and BCa intervals (Efron, 1987).

The metric is a function of row weights (how often each row was drawn), so that one set of draws serves all metrics and
both models of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.rate_intervals import Z

Strata = Sequence[NDArray[np.int64]]
"""Indices of the rows of each stratum."""

LEAST_KNOWN = 0.9
"""Share of the draws in which a metric must be defined for an interval to be given."""
_GROUPS = 200
_NORMAL = NormalDist()


def draw_weights(rows: int, strata: Strata, draws: int, seed: int, cells: int = 4_000_000) -> Iterator[Floats]:
    """Chunks of weights `[some draws, rows]`: how often each row was drawn, with replacement, within its stratum."""
    generator = np.random.default_rng(seed)
    # Draws of many rows come in chunks: 2,000 draws of 10^6 rows at once would be 16 GB.
    chunk = max(1, cells // max(rows, 1))
    for start in range(0, draws, chunk):
        count = min(chunk, draws - start)
        weights = np.zeros((count, rows))
        for members in strata:
            size = len(members)
            # Each draw counts in cells of its own, so that one bincount serves the whole chunk.
            drawn = generator.integers(0, size, size=(count, size)) + size * np.arange(count)[:, None]
            weights[:, members] = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        yield weights


@dataclass(frozen=True)
class Jackknife:
    """Weights that leave out a group of rows each.

    Attributes:
        weights: `[groups, rows]`.
        stratum: `[groups]`: the stratum that each group is of.
    """

    weights: Floats
    stratum: NDArray[np.int64]


def leave_out_groups(rows: int, strata: Strata) -> Jackknife:
    """Splits each stratum into at most 200 groups; more groups would not estimate the skewness better."""
    weights, owners = [], []
    for index, members in enumerate(strata):
        for group in np.array_split(members, min(len(members), _GROUPS)):
            row = np.ones(rows)
            row[members] *= len(members) / max(len(members) - len(group), 1)  # the class keeps its share
            row[group] = 0.0
            weights.append(row)
            owners.append(index)
    return Jackknife(np.array(weights).reshape(-1, rows), np.array(owners, np.int64))


def compute_bca_interval(
    value: float, drawn: Floats, left_out: Floats, stratum: NDArray[np.int64]
) -> tuple[float, float]:
    """The bias-corrected and accelerated interval, 95 %, with percentiles moved out as Student's t asks of few rows.

    Args:
        value: Value of the metric on all rows.
        drawn: Values in every draw.
        left_out: Values with each group of rows left out.
        stratum: Stratum of each group.

    Returns:
        Low and high; NaN where all draws are the same or the metric is undefined in too many of them.
    """
    defined = _select_defined(value, drawn)
    if not len(defined):
        return float("nan"), float("nan")
    # Ties count half: a metric of decided classes takes few values, and whole ties would shift the bias.
    below = ((defined < value).sum() + (defined == value).sum() / 2) / len(defined)
    # Clipped, since the quantile at 0 or 1 is infinite: the value may be outside all draws.
    bias = _NORMAL.inv_cdf(float(np.clip(below, 1 / len(defined), 1 - 1 / len(defined))))
    acceleration, reach = _compute_acceleration(left_out, stratum)
    # Efron and Tibshirani (1993), equation 14.10; the floor keeps the denominator from changing its sign.
    ends = [bias + (bias + end) / max(1 - acceleration * (bias + end), 0.1) for end in (-reach, reach)]
    low, high = np.quantile(defined, [_NORMAL.cdf(end) for end in ends])
    return float(low), float(high)


def compute_symmetric_interval(
    value: float, drawn: Floats, left_out: Floats, stratum: NDArray[np.int64]
) -> tuple[float, float]:
    """The value and as many standard errors of the draws as Student's t has; arguments as in `compute_bca_interval`.

    For paired changes, which are nearly symmetric: there BCa's corrections, estimated from few rows, cost coverage (.84
    to .91 at 10 rows of a class in the simulation, this .94 to .96).
    """
    defined = _select_defined(value, drawn)
    if not len(defined):
        return float("nan"), float("nan")
    half = _compute_acceleration(left_out, stratum)[1] * float(defined.std())
    return value - half, value + half


def _select_defined(value: float, drawn: Floats) -> Floats:
    """The draws in which the metric is defined; none where they are too few or all the same."""
    defined = drawn[np.isfinite(drawn)]
    enough = np.isfinite(value) and len(defined) >= LEAST_KNOWN * len(drawn)
    # Relative, because sums of floats in another order differ in the last bits where nothing else varies.
    spread = enough and float(np.ptp(defined)) > 1e-12 * max(float(np.abs(defined).max()), 1e-300)
    return defined if spread else defined[:0]


def _compute_acceleration(left_out: Floats, stratum: NDArray[np.int64]) -> tuple[float, float]:
    """A sixth of the skewness of the rows' influence, and how many standard errors 95 % reach to both sides.

    The reach is Student's quantile at Satterthwaite's degrees of freedom, times the root of n / (n - 1) that the
    bootstrap's variance lacks (Hesterberg, 2015).
    """
    cubes = squares = unbiased = spent = 0.0
    for index in np.unique(stratum):
        values = left_out[stratum == index]
        values = values[np.isfinite(values)]
        groups = len(values)
        if groups < 2:
            continue
        # Jackknife influence per stratum: strata are independent, so that their second and third moments add up.
        influence = (groups - 1) * (values.mean() - values) / groups
        variance = float((influence**2).sum())
        cubes += float((influence**3).sum())
        squares += variance
        unbiased += variance * groups / (groups - 1)
        spent += variance**2 / (groups - 1)
    if squares <= 0:
        return 0.0, Z
    freedom = squares**2 / spent
    return cubes / (6 * squares**1.5), compute_student_quantile(freedom) * float((unbiased / squares) ** 0.5)


def compute_student_quantile(freedom: float) -> float:
    """Student's 97.5 % quantile by its expansion around the normal one (Abramowitz and Stegun, 26.7.5)."""
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / freedom + second / freedom**2 + third / freedom**3
