"""The metadata by which Kubeflow's page draws metrics, ROC curves and confusion matrices. Plain values only.

The forms are those of kfp's `Metrics` and `ClassificationMetrics`, which the frontend checks before it draws
(`ROCCurveHelper.tsx`, `validateConfusionMatrix`). A release without ML Metadata fails a step whose `system.Metrics`
hold anything but numbers (`launcher_v2.go`, "metric value must be a number").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from taxiway.pipeline.tracking.run_record import MetricValues, RunRecord

MOST_CLASSES = 30
"""The page draws every cell of the matrix; of more classes nothing could be read."""

Metadata = dict[str, Any]


def make_metrics(values: Mapping[str, Any]) -> Metadata:
    """The finite numbers among the values; the page lists whatever it is given."""
    return {name: float(value) for name, value in values.items() if _is_finite(value)}


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def make_evaluation_metrics(overall: MetricValues | None) -> Metadata:
    """The candidate's metrics over all rows, then the baseline's."""
    if overall is None:
        return {}
    baseline = {f"{name} of the baseline": value for name, value in overall.baseline.items()}
    return make_metrics({**overall.candidate, **baseline, "rows": overall.rows})


def make_run_metrics(run: RunRecord) -> Metadata:
    """What a list of runs is compared by: the main metric, the chosen variant, the live version, seconds."""
    chosen = next((variant for variant in run.variants if variant.chosen), None)
    figures = {
        run.main_metric or "main metric": run.main_value(),
        "size in bytes": chosen.size_bytes if chosen else None,
        "p50 in ms": chosen.p50_ms if chosen else None,
        "faster by": chosen.speedup if chosen else None,
        "version": run.push.version if run.push and run.push.is_live else None,
        "seconds": run.seconds,
    }
    return make_metrics(figures)


def make_curves(scored: Mapping[str, Any], classes: Sequence[str]) -> Metadata:
    """A ROC curve and a confusion matrix, as far as there are any.

    Args:
        scored: Answer of `taxiway.pipeline.report.scoring`.
        classes: Names of the classes in the order of the scores; may be empty.
    """
    roc, matrix = scored.get("roc"), scored.get("confusion")
    metadata: Metadata = {}
    if roc:
        thresholds = scored["roc_thresholds"]
        metadata["confidenceMetrics"] = [
            {"confidenceThreshold": threshold, "recall": recall, "falsePositiveRate": false_rate}
            for threshold, recall, false_rate in zip(thresholds, roc["y"], roc["x"], strict=True)
        ]
    if matrix and len(matrix) <= MOST_CLASSES:
        names = classes if len(classes) == len(matrix) else [str(number) for number in range(len(matrix))]
        metadata["confusionMatrix"] = {
            "annotationSpecs": [{"displayName": name} for name in names],
            "rows": [{"row": row} for row in matrix],
        }
    return metadata
