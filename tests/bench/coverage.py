"""How often the 95 % intervals hold the true value: `python -m tests.bench.coverage [tables a case]`.

Each case draws tables with a fixed number of rows of either class from a model whose true metrics are known (from a
table of a million rows), and counts how often the interval of each metric, and of the paired change, holds the truth.
Two standard errors of a coverage of .95 are .02 at 500 tables, .01 at 2,000.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from components.measures.intervals import Compared, Pair, compare

BINARY = ("auc", "pr_auc", "accuracy", "log_loss", "calibration")
MULTICLASS = ("accuracy", "log_loss", "macro_auc", "macro_f1", "macro_recall", "macro_precision", "recall[b]", "f1[b]", "auc[b]")
REGRESSION = ("mae", "mse", "rmse", "r2")
DRAWS = 400
TRUTH_ROWS = 1_000_000


@dataclass(frozen=True)
class Case:
    """A kind of table.

    Attributes:
        name: Of the case.
        metrics: Which are asked for.
        counts: Rows of each class; of a regression, the rows.
        apart: How far the classes lie apart, in standard deviations of the score; of a regression, the share of noise.
    """

    name: str
    metrics: tuple[str, ...]
    counts: tuple[int, ...]
    apart: float
    tails: bool = False
    random_counts: bool = False


CASES = (
    Case("10 of 20", BINARY, (10, 10), 1.5),
    Case("10 of 200", BINARY, (190, 10), 1.5),
    Case("10 of 1,000, good", BINARY, (990, 10), 2.5),
    Case("15 of 300", BINARY, (285, 15), 1.0),
    Case("30 of 90, weak", BINARY, (60, 30), 0.5),
    Case("50 of 500", BINARY, (450, 50), 2.0),
    Case("300 of 1,000", BINARY, (700, 300), 1.5),
    Case("three classes, 10 of 60", MULTICLASS, (30, 20, 10), 1.5),
    Case("three classes, 40 of 300", MULTICLASS, (140, 120, 40), 1.5),
    Case("20 values", REGRESSION, (20,), 0.7),
    Case("60 values", REGRESSION, (60,), 0.7),
    Case("60 values, heavy tails", REGRESSION, (60,), 0.7, True),
    Case("400 values, heavy tails", REGRESSION, (400,), 0.7, True),
)


def draw(case: Case, counts: Sequence[int], random: np.random.Generator) -> Pair:
    """A table: labels, and the scores of two models, of which the second is a little worse."""
    if case.metrics == REGRESSION:
        return _values(case, counts[0], random)
    if case.random_counts:
        counts = random.multinomial(sum(counts), np.array(counts) / sum(counts))
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.float64)
    if len(counts) == 2:
        signal = random.normal(size=len(labels)) + case.apart * labels
        prior = np.log(case.counts[1] / case.counts[0]) - case.apart**2 / 2
        noisy = signal + 0.4 * random.normal(size=len(labels))
        sides = [1 / (1 + np.exp(-(case.apart * each + prior)))[:, None] for each in (signal, noisy)]
        return Pair(labels, sides[0], sides[1], ("no", "yes"))
    signal = random.normal(size=(len(labels), 3)) + case.apart * np.eye(3)[labels.astype(int)]
    noisy = signal + 0.4 * random.normal(size=signal.shape)
    sides = [_softmax(case.apart * each) for each in (signal, noisy)]
    return Pair(labels, sides[0], sides[1], ("a", "b", "c"))


def _values(case: Case, rows: int, random: np.random.Generator) -> Pair:
    known = random.normal(size=rows)
    noise = random.standard_t(6, size=rows) if case.tails else random.normal(size=rows)
    return Pair(known + case.apart * noise, known[:, None], (known + 0.3 * random.normal(size=rows))[:, None])


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def truths(case: Case) -> dict[str, tuple[float, float]]:
    """Each metric's true value and change, from a table so large that its own error does not count."""
    from components.measures.weighted import weigh

    scale = TRUTH_ROWS // sum(case.counts)
    pair = draw(Case(**{**case.__dict__, "random_counts": False}), [count * scale for count in case.counts], np.random.default_rng(99))
    once = np.ones((1, len(pair.labels)))
    found = {}
    for name in case.metrics:
        first, second = (float(weigh(name, pair.labels, side, pair.classes)(once)[0]) for side in (pair.first, pair.second))
        found[name] = (first, first - second)
    return found


def cover(case: Case, tables: int, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """By metric: share of tables whose interval holds the true value, the true change, and share with an interval."""
    truth = truths(case)
    random = np.random.default_rng(seed)
    held: dict[str, list[tuple[bool, bool, bool]]] = {name: [] for name in case.metrics}
    for table in range(tables):
        found = compare(case.metrics, draw(case, case.counts, random), DRAWS, seed=table)
        for name, each in found.items():
            if not each.few:
                held[name].append(tuple(_holds(each, truth[name])))
    return {name: _shares(rows) for name, rows in held.items()}


def _holds(each: Compared, truth: tuple[float, float]) -> Iterator[bool]:
    for interval, true in ((each.value, truth[0]), (each.change, truth[1])):
        yield interval.low <= true <= interval.high
    yield bool(np.isfinite(each.value.low) and np.isfinite(each.change.low))


def _shares(rows: list[tuple[bool, ...]]) -> tuple[float, float, float]:
    value, change, given = np.mean(rows, axis=0) if rows else (np.nan,) * 3
    return float(value), float(change), float(given)


def main(tables: int) -> None:
    for case in CASES:
        for name, (value, change, given) in cover(case, tables).items():
            print(f"{case.name:28} {name:16} value {value:.3f}  change {change:.3f}  given {given:.3f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
