"""How often the 95 % intervals hold the true value: `python -m tests.bench.coverage [tables a case]`.

Each case draws tables from a model whose true metrics are known (from a table of some 300,000 rows) and counts how
often the interval of each metric, and of the paired change, holds the truth. Two standard errors of a
coverage of .95 are .02 at 500 tables, .01 at 2,000.

Areas, losses and averages over classes are asked of tables with a fixed number of rows of each class, as a stratified
split makes them. Shares of all rows and calibration are asked of tables whose rows are drawn regardless of class: how
many rows of a class there happen to be is part of what they measure, and with fixed numbers their intervals are wider
than 95 % needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from taxiway.components.metrics.intervals import Interval, MetricComparison, ScorePair, compare_metrics
from taxiway.components.metrics.weighted import build_metric

BINARY = ("auc", "pr_auc", "log_loss", "brier")
CLASSES = ("log_loss", "macro_auc", "macro_f1", "macro_recall", "macro_precision", "recall[b]", "auc[b]")
REGRESSION = ("mae", "mse", "rmse", "r2", "median_absolute_error", "p90_absolute_error")
DRAWN = ("accuracy", "calibration", "ece", "precision", "recall", "f1")
DRAWN_CLASSES = ("accuracy", "f1[b]", "precision[b]")
DRAWS = 400
TRUTH_ROWS = 300_000


@dataclass(frozen=True)
class Case:
    """A kind of table.

    Attributes:
        name: Of the case.
        metrics: Which are asked for.
        counts: Rows of each class; of a regression, the rows.
        apart: How far the classes lie apart, in standard deviations of the score; of a regression, the share of noise.
        wide: Standard deviation of the positive class's scores, or of a regression's heavy-tailed noise.
        fixed: Whether each table has just these counts, or these on average.
        second: The other model of two classes: `noisy`, `naive` (the same score for every row), or `moved` (5 % of the
            rows have another score).
        log: Whether a regression's values and their errors are log-normal, as prices and revenues are.
    """

    name: str
    metrics: tuple[str, ...]
    counts: tuple[int, ...]
    apart: float
    wide: float = 1.0
    fixed: bool = True
    second: Literal["noisy", "naive", "moved"] = "noisy"
    log: bool = False


CASES = (
    Case("10 of 20", BINARY, (10, 10), 1.5),
    Case("10 of 200", BINARY, (190, 10), 1.5),
    Case("10 of 1,000, good", BINARY, (990, 10), 2.5),
    Case("15 of 300, uneven", BINARY, (285, 15), 1.5, 1.5),
    Case("30 of 90, weak", BINARY, (60, 30), 0.5),
    Case("50 of 500", BINARY, (450, 50), 2.0),
    Case("300 of 1,000", BINARY, (700, 300), 1.5),
    Case("about 40 of 100", DRAWN, (60, 40), 1.0, fixed=False),
    Case("about 30 of 600", DRAWN, (570, 30), 1.5, fixed=False),
    Case("about 300 of 1,000", DRAWN, (700, 300), 1.5, fixed=False),
    Case("three classes, 10 of 60", CLASSES, (30, 20, 10), 1.5),
    Case("three classes, 40 of 300", CLASSES, (140, 120, 40), 1.5),
    Case("three classes, about 40 of 300", DRAWN_CLASSES, (140, 120, 40), 1.5, fixed=False),
    Case("20 values", REGRESSION, (20,), 0.7),
    Case("60 values", REGRESSION, (60,), 0.7),
    Case("60 values, heavy tails", REGRESSION, (60,), 0.7, 1.5),
    Case("400 values, heavy tails", REGRESSION, (400,), 0.7, 1.5),
    Case("10 of 500, naive model", ("auc",), (490, 10), 2.5, second="naive"),
    Case("10 of 310, few moved", ("auc",), (300, 10), 1.5, second="moved"),
    Case("30 of 630, few moved", ("auc",), (600, 30), 2.5, second="moved"),
    Case("60 values, log-normal", REGRESSION, (60,), 0.3, log=True),
    Case("400 values, log-normal", REGRESSION, (400,), 0.3, log=True),
)


def draw(case: Case, counts: Sequence[int], random: np.random.Generator) -> ScorePair:
    """A table: labels, and the scores of two models, of which the second is a little worse."""
    if case.metrics == REGRESSION:
        return _values(case, counts[0], random)
    if not case.fixed:
        counts = random.multinomial(sum(counts), np.array(counts) / sum(counts))
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.float64)
    return _two_classes(case, labels, random) if len(counts) == 2 else _three_classes(case, labels, random)


def _two_classes(case: Case, labels: np.ndarray, random: np.random.Generator) -> ScorePair:
    signal = random.normal(size=len(labels)) * np.where(labels > 0, case.wide, 1.0) + case.apart * labels
    noisy = signal + 0.4 * random.normal(size=len(labels))
    if case.second != "noisy":
        rare = random.random(len(labels)) < 0.05
        noisy = signal + random.normal(size=len(labels)) * rare if case.second == "moved" else np.zeros(len(labels))
    prior = np.log(case.counts[1] / case.counts[0]) - case.apart**2 / 2
    first, second = (1 / (1 + np.exp(-(case.apart * each + prior)))[:, None] for each in (signal, noisy))
    return ScorePair(labels, first, second, ("no", "yes"))


def _three_classes(case: Case, labels: np.ndarray, random: np.random.Generator) -> ScorePair:
    signal = random.normal(size=(len(labels), 3)) + case.apart * np.eye(3)[labels.astype(int)]
    noisy = signal + 0.4 * random.normal(size=signal.shape)
    return ScorePair(labels, _softmax(case.apart * signal), _softmax(case.apart * noisy), ("a", "b", "c"))


def _values(case: Case, rows: int, random: np.random.Generator) -> ScorePair:
    known = random.normal(size=rows)
    noise = random.standard_t(6, size=rows) if case.wide > 1 else random.normal(size=rows)
    if case.log:
        return ScorePair(np.exp(known + case.apart * noise), np.exp(known)[:, None], 1.1 * np.exp(known)[:, None])
    return ScorePair(known + case.apart * noise, known[:, None], (known + 0.3 * random.normal(size=rows))[:, None])


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def truths(case: Case) -> dict[str, tuple[float, float]]:
    """Each metric's true value and change, from a table so large that its own error does not count."""
    scale = max(TRUTH_ROWS // sum(case.counts), 1)
    pair = draw(case, [count * scale for count in case.counts], np.random.default_rng(99))
    once = np.ones((1, len(pair.labels)))
    found = {}
    for name in case.metrics:
        sides = (build_metric(name, pair.labels, side, pair.classes)(once) for side in (pair.first, pair.second))
        first, second = (float(side[0]) for side in sides)
        found[name] = (first, first - second)
    return found


@dataclass(frozen=True)
class Coverage:
    """Shares of the intervals that hold the true value and the true change, and of the tables that have them."""

    value: float
    change: float
    given: float


def cover(case: Case, tables: int, seed: int = 0) -> dict[str, Coverage]:
    """By metric; tables with too few rows of a class, or whose metric does not vary, have no interval to count."""
    truth, random = truths(case), np.random.default_rng(seed)
    found: dict[str, list[MetricComparison]] = {name: [] for name in case.metrics}
    for table in range(tables):
        for name, each in compare_metrics(case.metrics, draw(case, case.counts, random), DRAWS, seed=table).items():
            found[name].append(each)
    return {name: _coverage(each, truth[name]) for name, each in found.items()}


def _coverage(found: Sequence[MetricComparison], truth: tuple[float, float]) -> Coverage:
    value = _holding([each.value for each in found], truth[0])
    change = _holding([each.change for each in found], truth[1])
    return Coverage(value, change, float(np.mean([np.isfinite(each.value.low) for each in found])))


def _holding(intervals: Sequence[Interval], truth: float) -> float:
    holds = [each.low <= truth <= each.high for each in intervals if np.isfinite(each.low)]
    return float(np.mean(holds)) if holds else float("nan")


def main(tables: int) -> None:
    for case in CASES:
        for name, held in cover(case, tables).items():
            figures = f"value {held.value:.3f}  change {held.change:.3f}  given {held.given:.3f}"
            print(f"{case.name:30} {name:16} {figures}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
