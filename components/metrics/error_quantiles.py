"""Quantiles of the absolute error of a regression: what half, and nine tenths, of the rows err by at most."""

from __future__ import annotations

import math

import numpy as np

from taxiway.components.metrics.curve_areas import Floats

QUANTILES = {"median_absolute_error": 0.5, "p90_absolute_error": 0.9}
"""By the metric's name. The first is scikit-learn's `median_absolute_error`."""
_TAIL = 0.025


def compute_quantile(values: Floats, weights: Floats, share: float) -> Floats:
    """The quantile of values that occur several times, interpolated as `numpy.quantile` does.

    Args:
        values: Values in ascending order, `[rows]`.
        weights: How often each occurs, `[..., rows]`; the whole must be at least 1.
        share: The share of the rows that lies at or below the quantile.

    Returns:
        `[...]`; NaN where nothing occurs.
    """
    below = np.cumsum(weights, axis=-1)
    total = below[..., -1] if below.shape[-1] else np.zeros(below.shape[:-1])
    place = np.maximum(total - 1, 0.0) * share
    low = _pick_value(values, below, np.floor(place + 1e-9))
    high = _pick_value(values, below, np.ceil(place - 1e-9))
    part = np.clip(place - np.floor(place + 1e-9), 0.0, 1.0)
    return np.where(total > 0, low + (high - low) * part, np.nan)


def _pick_value(values: Floats, below: Floats, position: Floats) -> Floats:
    """The value at a position, counted from 0, of the rows as often as they occur."""
    if not len(values):
        return np.full(np.shape(position), np.nan)
    index = (below <= np.asarray(position)[..., None]).sum(axis=-1)
    return values[np.minimum(index, len(values) - 1)]


def count_rows_needed(share: float) -> int:
    """The fewest rows whose order statistics hold a quantile 95 % of the time: 6 for a median, 36 for nine tenths."""
    return math.ceil(math.log(_TAIL) / math.log(max(share, 1 - share)))


def compute_quantile_interval(values: Floats, share: float) -> tuple[float, float]:
    """The 95 % interval of a quantile: two order statistics, which need no distribution (David and Nagaraja, 2003).

    Args:
        values: The rows' values, `[rows]`, in any order.
        share: The share of the rows that lies at or below the quantile.

    Returns:
        Low and high; NaN with fewer rows than `count_rows_needed`.
    """
    rows = len(values)
    if rows < count_rows_needed(share):
        return float("nan"), float("nan")
    ordered = np.sort(values)
    at_most = np.cumsum(_list_binomial(rows, share))
    # The quantile lies above the k-th of the ascending values (from 1) where at least k rows lie at or below it.
    low = int(np.searchsorted(at_most, _TAIL, side="right"))
    high = int(np.searchsorted(at_most, 1 - _TAIL)) + 1
    return float(ordered[max(low, 1) - 1]), float(ordered[min(high, rows) - 1])


def _list_binomial(rows: int, share: float) -> Floats:
    """The chance of 0, 1, ..., `rows` hits."""
    hits = np.arange(rows + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, rows + 1)))])
    ways = factorials[rows] - factorials[hits] - factorials[rows - hits]
    return np.exp(ways + hits * math.log(share) + (rows - hits) * math.log(1 - share))
