"""What chance reaches where shares of rows are compared: missing values, values beyond a range, classes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SKETCH_ERROR = 0.01
"""Of TFDV's quantiles, which are those of a sketch: their ranks are right within this share of the rows."""


def bound_share_change(first: float, second: float, sizes: tuple[int, int], rate: float) -> float:
    """The largest difference of two shares that chance exceeds in `rate` of the cases: nearly normal, both sides.

    Args:
        first, second: Shares of two samples.
        sizes: Their rows.
        rate: Error rate of this comparison.
    """
    from scipy import special

    if not all(sizes):
        return 1.0
    # One row more of each kind on each side: a share of exactly 0 is not known to be 0.
    pooled = (first * sizes[0] + second * sizes[1] + 1) / (sum(sizes) + 2)
    spread = pooled * (1 - pooled) * sum(1 / size for size in sizes)
    return -float(special.ndtri(rate / 2)) * math.sqrt(spread) + 1 / min(sizes)


def bound_beyond_range(trained: int, rows: int, rate: float) -> int:
    """How many of `rows` new numbers exceed the largest of `trained` ones by chance, in more than `rate` of the cases.

    All orders are equally likely: that the k largest are all new has the probability C(rows, k) / C(rows + trained, k).
    """
    chance, count = 1.0, 0
    while count < rows:
        chance *= (rows - count) / (rows + trained - count)
        if chance < rate:
            break
        count += 1
    return count


def bound_unseen(unseen: int, trained: int, rows: int, rate: float) -> int:
    """How many of `rows` new values are unseen by chance, in more than `rate` of the cases.

    Args:
        unseen: Values of training that were seen once there, or that its list leaves out: leaving one row out, they
            are what is not seen (Good, 1953).
        trained: Values of training.
        rows: New values.
        rate: Error rate of this comparison.
    """
    from scipy import stats

    return int(stats.betabinom.isf(rate, rows, unseen + 1, max(trained - unseen, 0) + 1))


def bound_listing_luck(listed: NDArray[np.float64], unlisted: int) -> float:
    """Rows by which the listed values of a sample, its most frequent ones, are at most too many by having been chosen.

    A count is a draw with the standard deviation sqrt(count). Of a share f of draws, the largest ones, the mean is
    phi(z) / f deviations too high, z the normal quantile of 1 - f (the selection differential of a truncated normal):
    reached where all values are equally frequent. Values that no luck of three deviations would have taken off the
    list were not chosen by it.

    Args:
        listed: Counts of the listed values.
        unlisted: Number of the others.
    """
    from scipy import stats

    near = listed[listed - 3 * np.sqrt(listed) <= listed.min(initial=np.inf)]
    if not len(near) or not unlisted:
        return 0.0
    share = len(near) / (len(near) + unlisted)
    return float(np.sqrt(near).sum() * stats.norm.pdf(stats.norm.isf(share)) / share)


def measure_quantile_change(
    edges: NDArray[np.float64], shares: NDArray[np.float64], numbers: NDArray[np.float64]
) -> tuple[float, float]:
    """How far the share of numbers below a quantile is from what the quantile says at most, and that quantile.

    A quantile q of a share s says that at most s of the numbers are below q, and at least s are not above it: a number
    that many rows share makes no difference.

    Args:
        edges: Quantiles `[n]`, ascending; not empty.
        shares: Shares of the rows that are not above them, `[n]`.
        numbers: The other numbers; not empty.
    """
    ordered = np.sort(numbers)
    below = np.searchsorted(ordered, edges, "left") / len(ordered)
    not_above = np.searchsorted(ordered, edges, "right") / len(ordered)
    change = np.maximum(np.maximum(below - shares, shares - not_above), 0)
    worst = int(np.argmax(change))
    return float(change[worst]), float(edges[worst])


def bound_quantile_change(quantiles: int, sizes: tuple[int, int], rate: float) -> float:
    """What chance reaches of `measure_quantile_change`: nearly normal, at the middle, where the spread is largest."""
    return bound_share_change(0.5, 0.5, sizes, rate / max(quantiles, 1)) + SKETCH_ERROR
