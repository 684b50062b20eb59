"""The 95 % interval of a metric on some rows, and of its change between two models on the same rows.

Rates have Wilson's interval (a change of accuracy Tango's), areas under the ROC curve one by DeLong's variance,
everything else that of a bootstrap within each class: BCa, for a change Student's. Too few rows of a class have none:
see `few_rows`. How often the intervals hold the true value is simulated in `tests/bench/coverage.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.contract import LOWER_IS_BETTER
from components.measures import FEWEST_CLASS_ROWS, FEWEST_ROWS, ranks, rates, resampling
from components.measures.areas import Floats
from components.measures.weighted import REGRESSION, decisions, single_class, weigh

Ends = tuple[float, float]
_NONE: Ends = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; the ends are NaN where nothing can be said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """A metric of two models on the same rows.

    Attributes:
        value: Of the first.
        other: Of the second.
        change: First minus second; a share of the second's value where that was asked for.
        few: Why there are no intervals, such as `9 rows of class no`; empty where there are.
    """

    value: Interval
    other: float
    change: Interval
    few: str = ""


@dataclass(frozen=True)
class Pair:
    """Two models' scores of the same rows.

    Attributes:
        labels: `[rows]`; class indices or values.
        first, second: `[rows, 1]` or `[rows, classes]`.
        classes: Names of the classes in the order of the scores; may be empty.
        share_of_loss: Whether the change of a loss or an error is a share of the second model's.
    """

    labels: Floats
    first: Floats
    second: Floats
    classes: Sequence[str] = ()
    share_of_loss: bool = False

    @property
    def same(self) -> bool:
        """Whether both models say the very same of every row."""
        return bool(np.array_equal(self.first, self.second))

    def change(self, name: str, first: Floats, second: Floats) -> Floats:
        """From values of both models to their change."""
        if self.share_of_loss and name in LOWER_IS_BETTER:
            return (first - second) / np.maximum(np.abs(second), 1e-12)
        return first - second


def compare(names: Iterable[str], pair: Pair, draws: int, seed: int) -> dict[str, Compared]:
    """Each metric of both models, with intervals.

    Args:
        names: Metrics that `components.measures.weighted` knows.
        pair: The rows.
        draws: Of the bootstrap, where one is needed.
        seed: Of the draws.
    """
    names = list(names)
    few = {name: few_rows(name, pair.labels, pair.first, pair.classes) for name in names}
    drawn = _bootstrap([name for name in names if not few[name] and not _is_closed(name)], pair, draws, seed)
    found = {}
    for name in names:
        value, other = (_value(name, pair, scores) for scores in (pair.first, pair.second))
        change = float(pair.change(name, np.array([value]), np.array([other]))[0])
        ends = (_NONE, _NONE) if few[name] else drawn.get(name) or _closed(name, pair)
        of_change = (change, change) if pair.same and not few[name] else ends[1]  # the same answers: no sample decides
        found[name] = Compared(Interval(value, *ends[0]), other, Interval(change, *of_change), few[name])
    return found


def _value(name: str, pair: Pair, scores: Floats) -> float:
    return float(weigh(name, pair.labels, scores, pair.classes)(np.ones((1, len(pair.labels))))[0])


# ---- too few rows ----


def few_rows(name: str, labels: Floats, scores: Floats, classes: Sequence[str] = ()) -> str:
    """Why a metric gets no interval on these rows: `9 rows of class no`; empty where there are enough.

    An average over classes needs the rows of every class that occurs; other metrics of several classes need them
    outside the most frequent one.
    """
    if name in REGRESSION:
        return _said(len(labels), "") if len(labels) < FEWEST_ROWS else ""
    counts = rows_by_class(labels, scores, classes)
    one = single_class(name)
    if one is not None:
        counts = {one[1]: counts[one[1]], f"other than {one[1]}": sum(counts.values()) - counts[one[1]]}
    elif len(counts) > 2:
        counts = {key: rows for key, rows in counts.items() if rows}
        if not name.startswith("macro_"):
            largest = max(counts, key=lambda key: counts[key], default="")
            counts = {f"other than {largest}": sum(counts.values()) - counts.get(largest, 0)}
    least = min(counts, key=lambda key: counts[key], default="")
    rows = counts.get(least, 0)
    return _said(rows, f" of class {least}") if rows < FEWEST_CLASS_ROWS else ""


def _said(rows: int, where: str) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}{where}"


def rows_by_class(labels: Floats, scores: Floats, classes: Sequence[str] = ()) -> dict[str, int]:
    """Rows of each class by its name, or by its index where it has none."""
    known = max(scores.reshape(len(labels), -1).shape[1], 2)
    counts = np.bincount(labels.astype(np.int64), minlength=known)
    names = classes if len(classes) == len(counts) else [str(index) for index in range(len(counts))]
    return {name: int(rows) for name, rows in zip(names, counts, strict=True)}


# ---- by a formula ----


def _is_closed(name: str) -> bool:
    return name in ("accuracy", "auc") or single_class(name) is not None


def _closed(name: str, pair: Pair) -> tuple[Ends, Ends]:
    """The interval of the first model's value, and of the change."""
    one = single_class(name)
    if name == "accuracy":
        right = [decisions(scores) == pair.labels.astype(np.int64) for scores in (pair.first, pair.second)]
        return rates.wilson(float(right[0].sum()), len(right[0])), rates.tango(*right)
    if one is None:
        return _ranked(pair.labels > 0.5, pair.first[:, -1], pair.second[:, -1])
    index = list(pair.classes).index(one[1])
    if one[0] == "auc":
        return _ranked(pair.labels == index, pair.first[:, index], pair.second[:, index])
    return _of_class(one[0], pair.labels == index, decisions(pair.first) == index), _NONE


def _ranked(positive: NDArray[np.bool_], first: Floats, second: Floats) -> tuple[Ends, Ends]:
    return ranks.auc_interval(positive, first), ranks.auc_change_interval(positive, first, second)


def _of_class(kind: str, own: NDArray[np.bool_], decided: NDArray[np.bool_]) -> Ends:
    """Recall and precision are shares of rows; F1 is 2 s / (1 + s) of the share s of hits among the rows that are of
    the class or decided for it."""
    hits, either = float((own & decided).sum()), float((own | decided).sum())
    if kind != "f1":
        return rates.wilson(hits, float((own if kind == "recall" else decided).sum()))
    low, high = rates.wilson(hits, either)
    return 2 * low / (1 + low), 2 * high / (1 + high)


# ---- by drawing rows again ----


def _bootstrap(names: Sequence[str], pair: Pair, draws: int, seed: int) -> dict[str, tuple[Ends, Ends]]:
    """Intervals by BCa; one set of draws for all metrics that draw alike."""
    made: dict[str, tuple[Ends, Ends]] = {}
    for stratified in (True, False):
        members = [name for name in names if _is_stratified(name) == stratified]
        if members:
            made |= _drawn(members, pair, strata(pair.labels) if stratified else _whole(pair.labels), draws, seed)
    return made


def _is_stratified(name: str) -> bool:
    """Calibration compares with how many positives there happened to be: that number is part of what is not sure."""
    return name not in REGRESSION and name != "calibration"


def _drawn(
    names: Sequence[str], pair: Pair, parts: resampling.Strata, draws: int, seed: int
) -> dict[str, tuple[Ends, Ends]]:
    rows = len(pair.labels)
    models = {
        name: [weigh(name, pair.labels, scores, pair.classes) for scores in (pair.first, pair.second)] for name in names
    }
    jackknife = resampling.leave_out(rows, parts)
    weights = [np.ones((1, rows)), jackknife.weights]
    values: dict[str, list[list[Floats]]] = {name: [[], []] for name in names}
    for chunk in (*weights, *resampling.draw_weights(rows, parts, draws, seed)):
        for name, functions in models.items():
            for side, function in zip(values[name], functions, strict=True):
                side.append(function(chunk))
    made = {}
    for name, sides in values.items():
        first, second = (np.concatenate(side) for side in sides)
        change = pair.change(name, first, second)
        made[name] = (
            resampling.bca(*_parts(first, jackknife), jackknife.stratum),
            resampling.symmetric(*_parts(change, jackknife), jackknife.stratum),
        )
    return made


def _parts(series: Floats, jackknife: resampling.Jackknife) -> tuple[float, Floats, Floats]:
    """A metric on all rows, in every draw, with each group left out; they were computed in another order."""
    groups = len(jackknife.stratum)
    return float(series[0]), series[1 + groups :], series[1 : 1 + groups]


def strata(labels: Floats) -> list[NDArray[np.int64]]:
    """The rows of each class; classes of too few rows together."""
    values, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    small = counts < FEWEST_CLASS_ROWS
    index = np.where(small[index], len(values), index)
    return [np.flatnonzero(index == each) for each in np.unique(index)]


def _whole(labels: Floats) -> list[NDArray[np.int64]]:
    return [np.arange(len(labels))]
