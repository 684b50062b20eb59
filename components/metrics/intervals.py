"""The 95 % interval of a metric on some rows, and of its change between two models on the same rows.

Rates have Wilson's interval (a change of accuracy Tango's), areas under the ROC curve one by DeLong's variance,
quantiles of the error one of order statistics, the expected calibration error a conservative bound, everything else
that of a bootstrap within each class: BCa, for a change Student's. Too few rows of a class have none: see
`find_interval_refusal`. How often the intervals hold the true value is simulated in `tests/bench/coverage.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taxiway.components.contract import LOWER_IS_BETTER
from taxiway.components.metrics import FEWEST_CLASS_ROWS, FEWEST_ROWS, auc_intervals, bootstrap, rate_intervals
from taxiway.components.metrics.calibration_error import compute_calibration_change, compute_calibration_limits
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.error_quantiles import QUANTILES, compute_quantile_interval, count_rows_needed
from taxiway.components.metrics.weighted import (
    DECIDED,
    EVEN,
    REGRESSION,
    Weighted,
    build_metric,
    decide_classes,
    parse_class_metric,
)
from taxiway.components.refusal import Refusal

Ends = tuple[float, float]
_NONE: Ends = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; the ends are NaN where nothing can be said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MetricComparison:
    """A metric of two models on the same rows.

    Attributes:
        value: Value of the first model, with its interval.
        other: Value of the second model.
        change: Difference, first minus second; a share of the second's value where that was asked for.
        few: Reason for no intervals, such as `9 rows of class no`; None where there are.
    """

    value: Interval
    other: float
    change: Interval
    few: Refusal | None = None


@dataclass(frozen=True)
class ScorePair:
    """Two models' scores of the same rows.

    Attributes:
        labels: Class indices or values, `[rows]`.
        first, second: Scores of the models, `[rows, 1]` or `[rows, classes]`.
        classes: Names of the classes in the order of the scores; may be empty.
        share_of_loss: Flag that the change of a loss or an error is a share of the second model's.
        thresholds: Of two binary models: the score above which each decides for the positive class.
    """

    labels: Floats
    first: Floats
    second: Floats
    classes: Sequence[str] = ()
    share_of_loss: bool = False
    thresholds: tuple[float, float] = (EVEN, EVEN)

    @property
    def models(self) -> tuple[tuple[Floats, float], tuple[Floats, float]]:
        """Scores and threshold of each model."""
        return (self.first, self.thresholds[0]), (self.second, self.thresholds[1])

    def is_same(self, name: str) -> bool:
        """Whether both models give the same answer to every row, as far as a metric sees it."""
        return bool(np.array_equal(self.first, self.second)) and (
            name not in DECIDED or self.thresholds[0] == self.thresholds[1]
        )

    def list_metrics(self, name: str) -> list[Weighted]:
        """A metric of each model."""
        return [build_metric(name, self.labels, scores, self.classes, at) for scores, at in self.models]

    def list_decisions(self) -> list[NDArray[np.int64]]:
        """The class that each model decides each row for."""
        return [decide_classes(scores, at) for scores, at in self.models]

    def compute_change(self, name: str, first: Floats, second: Floats) -> Floats:
        """From values of both models to their change."""
        if self.share_of_loss and name in LOWER_IS_BETTER:
            # The floor is for a reference that makes no error at all.
            return (first - second) / np.maximum(np.abs(second), 1e-12)
        return first - second


def compare_metrics(names: Iterable[str], pair: ScorePair, draws: int, seed: int) -> dict[str, MetricComparison]:
    """Each metric of both models, with intervals.

    Args:
        names: Names of metrics that `taxiway.components.metrics.weighted` knows.
        pair: Labels and scores of the rows.
        draws: Number of draws of the bootstrap, where one is needed.
        seed: Seed of the draws.
    """
    names = list(names)
    few = {name: find_interval_refusal(name, pair.labels, pair.first, pair.classes) for name in names}
    by_formula = {name: _compute_by_formula(name, pair) for name in names if not few[name] and _has_formula(name)}
    to_draw = [name for name in names if not few[name] and (name in _CHANGE_DRAWN or name not in by_formula)]
    drawn = _bootstrap_metrics(to_draw, pair, draws, seed)
    comparisons = {}
    for name in names:
        value, other = (_compute_value(metric, len(pair.labels)) for metric in pair.list_metrics(name))
        change = float(pair.compute_change(name, np.array([value]), np.array([other]))[0])
        ends = _merge_ends(by_formula.get(name), drawn.get(name))
        # The same scores make the same value on every sample: the change is exactly zero.
        of_change = (change, change) if pair.is_same(name) and not few[name] else ends[1]
        comparisons[name] = MetricComparison(Interval(value, *ends[0]), other, Interval(change, *of_change), few[name])
    return comparisons


def _merge_ends(formula: tuple[Ends, Ends] | None, drawn: tuple[Ends, Ends] | None) -> tuple[Ends, Ends]:
    """The ends around value and change: a formula's where there is one, else those of the draws; NaN without either."""
    if formula is None:
        return drawn or (_NONE, _NONE)
    return formula if drawn is None else (formula[0], drawn[1])


def _compute_value(metric: Weighted, rows: int) -> float:
    return float(metric(np.ones((1, rows)))[0])


# ---- too few rows ----


def find_interval_refusal(name: str, labels: Floats, scores: Floats, classes: Sequence[str] = ()) -> Refusal | None:
    """Why a metric gets no interval on these rows, such as `9 rows of class no`.

    An average over classes needs the rows of every class that occurs; other metrics of several classes need them
    outside the most frequent one.
    """
    if name in REGRESSION:
        fewest = max(FEWEST_ROWS, count_rows_needed(QUANTILES[name]) if name in QUANTILES else 0)
        return _refuse_rows(len(labels), "") if len(labels) < fewest else None
    counts = count_rows_by_class(labels, scores, classes)
    one = parse_class_metric(name)
    if one is not None:
        # A metric of one class treats all other classes as one.
        counts = {one[1]: counts[one[1]], f"other than {one[1]}": sum(counts.values()) - counts[one[1]]}
    elif len(counts) > 2:
        counts = {key: rows for key, rows in counts.items() if rows}
        if not name.startswith("macro_"):
            # Rows of the most frequent class alone say nothing of the errors among the others.
            largest = max(counts, key=lambda key: counts[key], default="")
            counts = {f"other than {largest}": sum(counts.values()) - counts.get(largest, 0)}
    least = min(counts, key=lambda key: counts[key], default="")
    rows = counts.get(least, 0)
    return _refuse_rows(rows, f" of class {least}") if rows < FEWEST_CLASS_ROWS else None


def _refuse_rows(rows: int, where: str) -> Refusal:
    return Refusal(f"{rows} row{'' if rows == 1 else 's'}{where}")


def count_rows_by_class(labels: Floats, scores: Floats, classes: Sequence[str] = ()) -> dict[str, int]:
    """Rows of each class by its name, or by its index where it has none."""
    class_count = max(scores.reshape(len(labels), -1).shape[1], 2)
    counts = np.bincount(labels.astype(np.int64), minlength=class_count)
    names = classes if len(classes) == len(counts) else [str(index) for index in range(len(counts))]
    return {name: int(rows) for name, rows in zip(names, counts, strict=True)}


# ---- by a formula ----


_SHARES = DECIDED.keys() - {"accuracy"}
"""Shares of the rows that are, or are decided to be, of the positive class."""
_CHANGE_DRAWN = _SHARES | QUANTILES.keys()
"""Metrics whose value has a formula, and whose change is drawn."""


def _has_formula(name: str) -> bool:
    return name in {"accuracy", "auc", "ece"} | _CHANGE_DRAWN or parse_class_metric(name) is not None


def _compute_by_formula(name: str, pair: ScorePair) -> tuple[Ends, Ends]:
    """The interval of the first model's value, and of the change."""
    one = parse_class_metric(name)
    if name in QUANTILES:
        return compute_quantile_interval(np.abs(pair.first.reshape(-1) - pair.labels), QUANTILES[name]), _NONE
    if name in _SHARES:
        return _compute_class_interval(name, pair.labels > 0.5, pair.list_decisions()[0] == 1), _NONE
    if name == "ece":
        limits = [compute_calibration_limits(pair.labels, scores[:, -1]) for scores in (pair.first, pair.second)]
        return (limits[0].low, limits[0].high), compute_calibration_change(*limits)
    if name == "accuracy":
        right = [decided == pair.labels.astype(np.int64) for decided in pair.list_decisions()]
        return rate_intervals.compute_wilson_interval(
            float(right[0].sum()), len(right[0])
        ), rate_intervals.compute_tango_interval(*right)
    if one is None:
        return _compute_auc_intervals(pair.labels > 0.5, pair.first[:, -1], pair.second[:, -1])
    index = list(pair.classes).index(one[1])
    if one[0] == "auc":
        return _compute_auc_intervals(pair.labels == index, pair.first[:, index], pair.second[:, index])
    return _compute_class_interval(one[0], pair.labels == index, pair.list_decisions()[0] == index), _NONE


def _compute_auc_intervals(positive: NDArray[np.bool_], first: Floats, second: Floats) -> tuple[Ends, Ends]:
    return auc_intervals.compute_auc_interval(positive, first), auc_intervals.compute_change_interval(
        positive, first, second
    )


def _compute_class_interval(kind: str, own: NDArray[np.bool_], decided: NDArray[np.bool_]) -> Ends:
    """Recall and precision are shares of rows; F1 is 2 s / (1 + s) of the share s of hits among the rows that are of
    the class or decided for it."""
    hits, either = float((own & decided).sum()), float((own | decided).sum())
    if kind != "f1":
        return rate_intervals.compute_wilson_interval(hits, float((own if kind == "recall" else decided).sum()))
    # F1 grows with the share s, so that the ends of the interval of s give the ends of F1's.
    low, high = rate_intervals.compute_wilson_interval(hits, either)
    return 2 * low / (1 + low), 2 * high / (1 + high)


# ---- by drawing rows again ----


def _bootstrap_metrics(names: Sequence[str], pair: ScorePair, draws: int, seed: int) -> dict[str, tuple[Ends, Ends]]:
    """Intervals by BCa; one set of draws for all metrics that draw alike."""
    interval_pairs: dict[str, tuple[Ends, Ends]] = {}
    for stratified in (True, False):
        members = [name for name in names if _is_stratified(name) == stratified]
        if members:
            interval_pairs |= _bootstrap_group(
                members,
                pair,
                split_strata(pair.labels) if stratified else _build_single_stratum(pair.labels),
                draws,
                seed,
            )
    return interval_pairs


def _is_stratified(name: str) -> bool:
    """Whether draws keep the rows of each class. Calibration, precision and F1 divide by numbers of rows that vary from
    sample to sample, which strata would fix."""
    return name not in REGRESSION | _SHARES | {"calibration"}


def _bootstrap_group(
    names: Sequence[str], pair: ScorePair, parts: bootstrap.Strata, draws: int, seed: int
) -> dict[str, tuple[Ends, Ends]]:
    rows = len(pair.labels)
    models = {name: pair.list_metrics(name) for name in names}
    jackknife = bootstrap.leave_out_groups(rows, parts)
    # The value, the jackknife and the draws are weights of the same rows, so that one function computes all three.
    weights = [np.ones((1, rows)), jackknife.weights]
    values: dict[str, list[list[Floats]]] = {name: [[], []] for name in names}
    for chunk in (*weights, *bootstrap.draw_weights(rows, parts, draws, seed)):
        for name, functions in models.items():
            for side, function in zip(values[name], functions, strict=True):
                side.append(function(chunk))
    interval_pairs = {}
    for name, sides in values.items():
        first, second = (np.concatenate(side) for side in sides)
        change = pair.compute_change(name, first, second)
        interval_pairs[name] = (
            bootstrap.compute_bca_interval(*_split_series(first, jackknife), jackknife.stratum),
            bootstrap.compute_symmetric_interval(*_split_series(change, jackknife), jackknife.stratum),
        )
    return interval_pairs


def _split_series(series: Floats, jackknife: bootstrap.Jackknife) -> tuple[float, Floats, Floats]:
    """A metric on all rows, in every draw, with each group left out; they were computed in another order."""
    groups = len(jackknife.stratum)
    return float(series[0]), series[1 + groups :], series[1 : 1 + groups]


def split_strata(labels: Floats) -> list[NDArray[np.int64]]:
    """The rows of each class; classes of too few rows together."""
    values, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    # A stratum of one row would be drawn whole each time, as if it had no variance.
    small = counts < FEWEST_CLASS_ROWS
    index = np.where(small[index], len(values), index)
    return [np.flatnonzero(index == each) for each in np.unique(index)]


def _build_single_stratum(labels: Floats) -> list[NDArray[np.int64]]:
    return [np.arange(len(labels))]
