"""How well one column alone predicts the label: finds columns that leak it, and the bar that a model must pass."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from taxiway.components.contract import Task
from taxiway.components.metrics.curve_areas import compute_roc_auc, count_by_score
from taxiway.components.tables.columns.texts import is_text

_SCORED_ROWS = 100_000
_BINS = 64
_DEGREE, _WINDOW = 4, (1.0, 2.0, 3.0, 2.0, 1.0)
_SMOOTHED_VALUES = 12
"""From so many values on neighbours are averaged; fewer are fitted by a polynomial alone."""
_PRIOR_ROWS = 5.0
"""Rows of the mean label that each value's own mean is drawn towards."""


def score_column(array: pa.Array, target: np.ndarray, task: Task, seed: int = 7) -> float:
    """Scores how well a column alone predicts the label on rows that it was not fitted on.

    The column is cut into bins: values, or quantiles of numbers, and one for missing. Each bin predicts its label in
    the other half of the rows. So an identifier predicts nothing, and a copy of the label everything.

    Returns:
        AUC (binary), accuracy (multiclass), R2 (regression).
    """
    chosen = np.flatnonzero(~np.isnan(target))
    order = np.random.default_rng(seed).permutation(chosen)[:_SCORED_ROWS]
    bins, y = _bin_values(array.take(pa.array(order))), target[order]
    half = len(order) // 2
    if half < 2:
        return 0.0
    halves = (slice(None, half), slice(half, None))
    count = int(y.max()) + 1 if task == "multiclass" else 0
    guesses = [_predict_bins(bins[fit], y[fit], bins[other], count) for fit, other in (halves, halves[::-1])]
    return _score_predictions(np.concatenate(guesses), np.concatenate([y[halves[1]], y[halves[0]]]), task)


def _bin_values(array: pa.Array) -> np.ndarray:
    """int64 `[rows]`; 0 is missing."""
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    if is_text(array.type) or len(encoded.dictionary) <= _BINS:
        return codes
    values = array.cast(pa.float64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
    edges = np.unique(np.quantile(values[codes > 0], np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(codes > 0, np.searchsorted(edges, values, side="right") + 1, 0)


def _predict_bins(bins: np.ndarray, y: np.ndarray, queried: np.ndarray, classes: int) -> np.ndarray:
    """The most frequent class, or the mean, of each bin; a bin without rows predicts that of all rows."""
    size = int(max(bins.max(), queried.max())) + 1
    if not classes:
        total, number = np.bincount(bins, y, minlength=size), np.bincount(bins, minlength=size)
        return ((total + y.mean()) / (number + 1.0))[queried]
    flat = np.bincount(bins * classes + y.astype(np.int64), minlength=size * classes)
    table = flat.reshape(size, classes) + np.bincount(y.astype(np.int64), minlength=classes) / (len(y) + 1.0)
    return table.argmax(axis=1)[queried]


def _score_predictions(guess: np.ndarray, y: np.ndarray, task: Task) -> float:
    if task == "multiclass":
        return float((guess == y).mean())
    if task == "binary":
        area = float(compute_roc_auc(*count_by_score(y == 1, guess)))
        return 0.5 if np.isnan(area) else area  # one class alone: nothing to tell apart
    spread = float(((y - y.mean()) ** 2).sum())
    return 1 - float(((y - guess) ** 2).sum()) / spread if spread else 0.0


def measure_name_gain(array: pa.Array, target: np.ndarray, task: Task, seed: int = 7) -> float:
    """How surely whole numbers are names: how much better the label is predicted by each value alone than by a smooth
    function of the values' order, in standard errors, on rows that neither was fitted on.

    Neighbouring ages have like labels, neighbouring districts need not. A column that tells nothing of the label has
    a gain near or below 0.
    """
    present = ~np.isnan(target) & ~array.is_null().to_numpy(zero_copy_only=False)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(present))[:_SCORED_ROWS]
    half = len(order) // 2
    if half < 2:
        return 0.0
    values = array.take(pa.array(order)).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    _, places = np.unique(values, return_inverse=True)
    y = target[order] if task != "multiclass" else (target[order] == np.bincount(target[order].astype(int)).argmax())
    halves = (slice(None, half), slice(half, None))
    gains = [_compare_errors(places, y.astype(np.float64), *pair) for pair in (halves, halves[::-1])]
    gain = np.concatenate(gains)
    deviation = gain.std() / np.sqrt(len(gain))
    return float(gain.mean() / deviation) if deviation > 0 else 0.0


def describe_spread(whole: pa.Array) -> tuple[float, float]:
    """How close together whole numbers are, and how round: `density` and `digit_share` of a `ColumnProfile`.

    Args:
        whole: Whole numbers, none missing, at least one.
    """
    values = whole.to_numpy(zero_copy_only=False).astype(np.float64)
    # Quantiles that are values: between two of them there may be no value.
    least, greatest = np.quantile(values, [0.05, 0.95], method="inverted_cdf")
    middle = values[(values >= least) & (values <= greatest)]
    places = greatest - least + 1
    held = places * -np.expm1(-len(middle) / places)  # of so many places, when rows fall into them at random
    digits = np.bincount((np.unique(values) % 10).astype(np.int64), minlength=10)
    return len(np.unique(middle)) / held, float(np.sort(digits)[-2:].sum() / digits.sum())


def _compare_errors(places: np.ndarray, y: np.ndarray, fit: slice, other: slice) -> np.ndarray:
    """Squared errors by order minus those by name, `[rows of other]`."""
    count = int(places.max()) + 1
    total, number = np.bincount(places[fit], y[fit], count), np.bincount(places[fit], minlength=count)
    mean = y[fit].mean()
    by_name = (total + _PRIOR_ROWS * mean) / (number + _PRIOR_ROWS)
    smooth = [_fit_polynomial(total, number)]
    if count >= _SMOOTHED_VALUES:
        sums, rows = (np.convolve(each, _WINDOW, "same") for each in (total, number))
        smooth.append((sums + _PRIOR_ROWS * mean) / (rows + _PRIOR_ROWS))
    errors = [(y[other] - guess[places[other]]) ** 2 for guess in (*smooth, by_name)]
    best: np.ndarray = min(errors[:-1], key=np.mean)
    return best - errors[-1]


def _fit_polynomial(total: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The label as a polynomial of the value's place, least squares over the rows."""
    x = np.linspace(-1, 1, len(total))
    degree = min(_DEGREE, int((number > 0).sum()) - 1)
    means = np.divide(total, number, out=np.zeros_like(total), where=number > 0)
    fitted: np.ndarray = np.polynomial.Polynomial.fit(x, means, max(degree, 0), w=np.sqrt(number), domain=[-1, 1])(x)
    return fitted
