"""Metrics and calibration of the rows whose labels came later, against what was promised at the push."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taxiway.components.contract import HIGHER_IS_BETTER, LOWER_IS_BETTER, MAIN_METRIC, Task
from taxiway.components.distributions.shares import bound_quantile_change, bound_share_change, measure_quantile_change
from taxiway.components.metrics.intervals import ScorePair, compare_metrics
from taxiway.components.metrics.rate_intervals import Z
from taxiway.components.metrics.weighted import EVEN, REGRESSION, is_known_metric
from taxiway.components.monitoring.config import MonitoringConfig
from taxiway.components.monitoring.findings import Difference
from taxiway.components.monitoring.promise import Promise, compare_with_promise

ALWAYS: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "log_loss", "brier", "ece"),
    "multiclass": ("accuracy", "log_loss", "brier", "ece"),
    "regression": ("rmse", "mae"),
}
"""Metrics that are measured beside those that were promised."""
EXACT = "the push does not say on how many rows it was promised: taken as exact"
CELLS, MOST_DRAWS, FEWEST_DRAWS = 4_000_000, 2000, 200
CHECKS_A_CLASS = 2
"""Its share and its calibration; beside them one check of the main metric."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a window whose labels are known.

    Attributes:
        labels: Class indices or values, float64 `[rows]`.
        scores: What the version answered, float64 `[rows, outputs]`.
        task: Task of the model.
        classes: Names of the classes, in order; may be empty.
        threshold: Of a binary model.
    """

    labels: np.ndarray
    scores: np.ndarray
    task: Task
    classes: tuple[str, ...] = ()
    threshold: float = EVEN


@dataclass(frozen=True)
class MeasuredMetric:
    """A metric live, beside the promised value.

    Attributes:
        name: Name of the metric.
        live: Value on the labelled rows.
        interval: 95 %; None where the rows are too few.
        promise: Value on the split that judged the version, compared; None where its push recorded none.
        note: Reason for no interval, or for a promise without one; empty where there are both.
    """

    name: str
    live: float
    interval: tuple[float, float] | None
    promise: Promise | None = None
    note: str = ""


def measure_metrics(rows: LabelledRows, promised: Mapping[str, float], main: str = "") -> list[MeasuredMetric]:
    """The metrics that were promised, and those that say most of a task; the main one first.

    Args:
        rows: Labelled rows; not empty.
        promised: Metrics of the version's provenance, by name, and the counts of their rows.
        main: The metric by which the version was judged; empty: the task's.
    """
    main = main or MAIN_METRIC[rows.task]
    names = dict.fromkeys((main, *ALWAYS[rows.task], *promised))
    known = [name for name in names if _fits(name, rows)]
    pair = ScorePair(rows.labels, rows.scores, rows.scores, rows.classes, thresholds=(rows.threshold, rows.threshold))
    draws = int(np.clip(CELLS // len(rows.labels), FEWEST_DRAWS, MOST_DRAWS))
    measured = compare_metrics(known, pair, draws, seed=1)
    counts = float(len(rows.labels)), float((rows.labels > EVEN).sum()) if rows.task == "binary" else 0.0
    found = []
    for name in known:
        value = measured[name].value
        ends = (value.low, value.high) if np.isfinite([value.low, value.high]).all() else None
        few = measured[name].few
        if np.isfinite(value.value):
            promise = compare_with_promise(name, value.value, ends, counts, promised)
            notes = [f"{few.reason}: too few for an interval"] if few else []
            notes += [EXACT] if promise and not promise.rows and ends else []
            found.append(MeasuredMetric(name, value.value, ends, promise, "; ".join(notes)))
    return found


def _fits(name: str, rows: LabelledRows) -> bool:
    return is_known_metric(name, rows.classes) and (name in REGRESSION) == (rows.task == "regression")


def check_main_metric(
    measured: Sequence[MeasuredMetric], config: MonitoringConfig, rate: float
) -> Iterator[Difference]:
    """How much worse than promised the main metric is; nothing where it was not promised or has no interval.

    Chance explains what the interval of the difference (`promise`), at the error rate of one check, does not exclude.
    """
    from scipy import special

    main = next(iter(measured), None)
    if main is None or main.promise is None or main.interval is None:
        return
    ends = main.promise.change_interval
    if ends is None or main.name not in HIGHER_IS_BETTER | LOWER_IS_BETTER:
        return
    promise, sign = main.promise, 1 if main.name in HIGHER_IS_BETTER else -1
    drop, limit = -sign * promise.change, config.metric_drop * abs(promise.value)
    # The interval's arm on the side of no change, moved out to the error rate of one check.
    arm = ends[1] - promise.change if sign > 0 else promise.change - ends[0]
    chance = arm * -float(special.ndtri(rate / 2)) / Z
    words = (
        f"{main.name}: {main.live:.4g} live ({_format_ends(main.interval)}), promised were {promise.value:.4g}"
        f"{f' ({_format_ends(promise.interval)})' if promise.interval else ''}"
    )
    yield Difference("metric", main.name, "worse than promised by", drop, limit, chance, words)


def _format_ends(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}"


def check_classes(
    rows: LabelledRows, trained: Mapping[int, float], trained_rows: int, config: MonitoringConfig, rate: float
) -> Iterator[Difference]:
    """Of each class: its share against training's, and against what the model expects of these rows.

    Args:
        rows: Labelled rows of a classifier.
        trained: Share of each class in training, by index; empty: not known.
        trained_rows: Rows of training.
        config: Limits.
        rate: Error rate of one check.
    """
    table = rows.scores.reshape(len(rows.labels), -1)
    expected = np.hstack([1 - table, table]) if table.shape[1] == 1 else table
    indices = [1] if expected.shape[1] == 2 else range(expected.shape[1])
    for index in indices:
        name = rows.classes[index] if index < len(rows.classes) else f"class {index}"
        share = float((rows.labels == index).mean())
        if index in trained:
            change, before = abs(share - trained[index]), trained[index]
            chance = bound_share_change(before, share, (trained_rows, len(rows.labels)), rate)
            words = f"the class {name!r}: {share:.1%} of {len(rows.labels):,} labelled rows, {before:.1%} in training"
            yield Difference("label_shift", name, "change of share", change, config.label_share, chance, words)
        yield _check_calibration(name, rows, share, expected[:, index], config.label_share, rate)


def check_values(
    labels: np.ndarray, quantiles: tuple[np.ndarray, np.ndarray], trained_rows: int, limit: float, rate: float
) -> Iterator[Difference]:
    """A regression's labels against training's.

    Args:
        labels: Values, `[rows]`.
        quantiles: Quantiles of training, and the shares of its rows that are not above them; empty: not known.
        trained_rows: Rows of training.
        limit: Largest change of a cumulative share.
        rate: Error rate of one check.
    """
    edges, shares = quantiles
    if not len(edges):
        return
    change, edge = measure_quantile_change(edges, shares, labels)
    chance = bound_quantile_change(len(edges), (trained_rows, len(labels)), rate)
    words = (
        f"the label: the share of values up to {edge:.6g} differs by {change:.1%} from training's; the median is "
        f"{np.median(labels):.6g}"
    )
    yield Difference(
        "label_shift", "label", "L-infinity distance of the cumulative shares", change, limit, chance, words
    )


def _check_calibration(
    name: str, rows: LabelledRows, share: float, expected: np.ndarray, limit: float, rate: float
) -> Difference:
    """The rows of a class are a sum of independent draws, each with its own probability."""
    from scipy import special

    mean = float(expected.mean())
    spread = float(np.sqrt((expected * (1 - expected)).sum())) / len(expected)
    chance = -float(special.ndtri(rate / 2)) * spread + 1 / len(expected)
    words = f"the class {name!r}: the model expects {mean:.1%} of the labelled rows, {share:.1%} are of it"
    return Difference("calibration", name, "expected against true share", abs(mean - share), limit, chance, words)
