"""Labels that came later, judged: metrics live against what was promised, label shift, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taxiway.components.errors import UsageError
from taxiway.components.monitoring.config import MonitoringConfig
from taxiway.components.monitoring.findings import Difference
from taxiway.pipeline.monitoring.sources import MonitoredVersion
from taxiway.pipeline.monitoring.verdicts import LiveMetric

if TYPE_CHECKING:
    from taxiway.components.monitoring.performance import LabelledRows, MeasuredMetric
    from taxiway.components.monitoring.window import RequestWindow

NO_LABELS = "the version carries no label and classes: it was pushed by an earlier Taxiway, or without a validator"


@dataclass(frozen=True)
class JudgedLabels:
    """What the labels say.

    Attributes:
        performance: Metrics.
        differences: What was measured against limits.
        counts: Counts of the join.
        notes: Sentences about the join.
        not_judged: Why labels were not judged; empty where they were, or where there are none.
    """

    performance: tuple[LiveMetric, ...] = ()
    differences: tuple[Difference, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    not_judged: str = ""


def count_checks(monitored: MonitoredVersion) -> int:
    """Checks that labels bring, at most."""
    from taxiway.components.monitoring.performance import CHECKS_A_CLASS

    scores = monitored.reference.scores
    return 1 + CHECKS_A_CLASS * max(len(scores.classes) if scores else 0, 1)


def judge_labels(
    monitored: MonitoredVersion,
    config: MonitoringConfig,
    window: RequestWindow,
    file: Path | None,
    id_columns: Sequence[str],
    rate: float,
    *,
    masked: Mapping[str, str],
) -> JudgedLabels:
    """Joins labels to a window and judges them.

    Args:
        monitored: The version.
        config: Limits.
        window: The rows.
        file: The labels; None: there are none.
        id_columns: Columns by which they are joined.
        rate: Error rate of one check.
        masked: Reason by column that the log does not hold as it was sent.

    Raises:
        UsageError: An id column is not in the log, or not as it was sent.
        DataError: The labels cannot be read.
    """
    if file is None:
        return JudgedLabels()
    from taxiway.components.monitoring import performance
    from taxiway.pipeline.monitoring.labels import join_labels

    for name in id_columns:
        if name in masked:
            raise UsageError(f"Labels cannot be joined by {name!r}: it is {masked[name]}.", "Name another with --id.")
    scores = monitored.reference.scores
    if scores is None:
        return JudgedLabels(not_judged=NO_LABELS)
    joined = join_labels(file, id_columns, monitored.rules, scores, window)
    kept = np.array([], np.int64)
    if window.scores is not None:
        kept = np.flatnonzero(np.isfinite(window.scores).all(axis=1)[joined.rows])
    if len(kept) < config.min_rows:
        few = f"{len(kept):,} logged rows have a label and a score, at least {config.min_rows:,} are wanted"
        return JudgedLabels(counts=joined.counts, notes=joined.notes, not_judged=few)
    rows = performance.LabelledRows(
        joined.labels[kept],
        window.scores[joined.rows[kept]],  # type: ignore[index]
        scores.task,
        scores.classes,
        monitored.threshold,
    )
    provenance = monitored.version.provenance
    metrics = performance.measure_metrics(rows, provenance.get("metrics") or {}, str(provenance.get("metric") or ""))
    differences = _list_differences(monitored, config, rows, metrics, rate)
    worse = {each.column for each in differences if each.kind == "metric" and each.blocks}
    live = tuple(_describe_metric(each, len(rows.labels), worse) for each in metrics)
    return JudgedLabels(live, differences, joined.counts, joined.notes)


def _list_differences(
    monitored: MonitoredVersion,
    config: MonitoringConfig,
    rows: LabelledRows,
    metrics: Sequence[MeasuredMetric],
    rate: float,
) -> tuple[Difference, ...]:
    from taxiway.components.monitoring import performance

    label = monitored.reference.scores.label if monitored.reference.scores else ""
    main = performance.check_main_metric(metrics, config, rate)
    if rows.task == "regression":
        quantiles, trained_rows = _read_label_quantiles(monitored, label)
        return *main, *performance.check_values(rows.labels, quantiles, trained_rows, config.label_share, rate)
    shares, trained_rows = _read_class_shares(monitored, label)
    return *main, *performance.check_classes(rows, shares, trained_rows, config, rate)


def _describe_metric(metric: MeasuredMetric, rows: int, worse: set[str]) -> LiveMetric:
    promise = metric.promise
    return LiveMetric(
        metric=metric.name,
        promised=promise.value if promise else None,
        promised_interval=promise.interval if promise else None,
        promised_rows=promise.rows if promise else 0,
        live=metric.live,
        interval=metric.interval,
        change=promise.change if promise else None,
        change_interval=promise.change_interval if promise else None,
        rows=rows,
        is_worse=metric.name in worse,
        note=metric.note,
    )


def _read_label_quantiles(monitored: MonitoredVersion, label: str) -> tuple[tuple[Any, Any], int]:
    """Quantiles of the label in training with their shares, and the rows of training; empty ones where it has none."""
    from taxiway.components.distributions.chance import count_values
    from taxiway.components.monitoring.column_checks import read_quantiles
    from taxiway.components.monitoring.comparable import index_features

    feature = index_features(monitored.reference.statistics).get(label)
    if feature is None or feature.WhichOneof("stats") != "num_stats":
        return (np.array([]), np.array([])), 0
    return read_quantiles(feature), count_values(feature)


def _read_class_shares(monitored: MonitoredVersion, label: str) -> tuple[dict[int, float], int]:
    """Share of each class index in the training statistics: of two classes by the mean, of more by the counts."""
    from taxiway.components.monitoring.comparable import index_features

    feature = index_features(monitored.reference.statistics).get(label)
    rows = sum(int(dataset.num_examples) for dataset in monitored.reference.statistics.datasets)
    if feature is None or not rows:
        return {}, 0
    if feature.WhichOneof("stats") == "num_stats":
        mean = feature.num_stats.mean
        return ({0: 1 - mean, 1: mean} if feature.num_stats.min >= 0 and feature.num_stats.max <= 1 else {}), rows
    buckets = feature.string_stats.rank_histogram.buckets
    return {int(bucket.label): bucket.sample_count / rows for bucket in buckets if bucket.label.isdigit()}, rows
