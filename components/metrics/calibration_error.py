"""The expected calibration error: how far scores and shares of positives lie apart, with a conservative interval.

ECE = sum over bins of |sum of (score - label)| / rows (Naeini, Cooper and Hauskrecht, 2015), over 15 bins of equal
width (Guo et al., 2017). The bins are those of scikit-learn's `calibration_curve(n_bins=15, strategy="uniform")`.

The estimate is never below zero and lies above the truth where a model is well calibrated, so that no bootstrap of it
holds its promise. The interval here is a bound instead: with e the sampling error of the bins' gaps d,
|d| >= sign(d) (d + e) and |d + e| <= |d| + |e| give both ends, whatever d is. It is wider than 95 % needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taxiway.components.metrics.curve_areas import Floats, divide_or_nan
from taxiway.components.metrics.rate_intervals import Z

BINS = 15
_EDGES = np.linspace(0.0, 1.0, BINS + 1)[1:-1]
_DRAWS = 2000
_SEED = 1


def assign_bins(scores: Floats) -> NDArray[np.int64]:
    """The bin of each score, `[rows]`; a score on an edge is of the lower bin."""
    return np.searchsorted(_EDGES, scores).astype(np.int64)


def sum_gaps(labels: Floats, scores: Floats) -> Floats:
    """Sum of score - label in each bin: `[BINS]`.

    Args:
        labels: 0 or 1, `[rows]`.
        scores: Probabilities of 1, `[rows]`.
    """
    # numpy's stubs promise whole numbers
    return np.bincount(assign_bins(scores), scores - labels, BINS).astype(np.float64, copy=False)


def compute_calibration_error(gaps: Floats, rows: Floats | float) -> Floats:
    """The error of gaps `[..., BINS]` that `rows` rows made; NaN without rows."""
    return divide_or_nan(np.abs(gaps).sum(axis=-1), rows)


@dataclass(frozen=True)
class CalibrationLimits:
    """An error with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def compute_calibration_limits(labels: Floats, scores: Floats) -> CalibrationLimits:
    """The calibration error of one model, and ends that hold the true one at least 95 % of the time.

    Args:
        labels: 0 or 1, `[rows]`.
        scores: Probabilities of 1, `[rows]`.
    """
    rows, gaps = len(labels), sum_gaps(labels, scores)
    deviations = _estimate_deviations(labels, scores, gaps)
    value = float(compute_calibration_error(gaps, rows))
    noise = np.abs(np.random.default_rng(_SEED).normal(size=(_DRAWS, BINS)) * deviations).sum(axis=1) / rows
    high = value + Z * float(np.sqrt((deviations**2).sum())) / rows
    return CalibrationLimits(value, max(value - float(np.quantile(noise, 0.975)), 0.0), min(high, 1.0))


def _estimate_deviations(labels: Floats, scores: Floats, gaps: Floats) -> Floats:
    """Standard error of each bin's sum `[BINS]`: what its rows show, or what its scores promise where that is more."""
    bins = assign_bins(scores)
    counts = np.bincount(bins, minlength=BINS)
    squares = np.bincount(bins, (scores - labels) ** 2, BINS)
    shown = np.where(counts > 1, squares - np.divide(gaps**2, counts, out=np.zeros(BINS), where=counts > 0), 0.0)
    # A bin of one row, or whose rows are all of one class, shows no variance; its scores promise one.
    promised = np.bincount(bins, scores * (1 - scores), BINS)
    return np.sqrt(np.maximum(np.maximum(shown * counts / np.maximum(counts - 1, 1), promised), 0.0))


def compute_calibration_change(first: CalibrationLimits, second: CalibrationLimits) -> tuple[float, float]:
    """The interval of first - second from each one's own ends (Zou and Donner, 2008).

    That both models erred on the same rows is not used, so it is wider than needed.
    """
    change = first.value - second.value
    below = np.hypot(first.value - first.low, second.high - second.value)
    above = np.hypot(first.high - first.value, second.value - second.low)
    return float(change - below), float(change + above)
