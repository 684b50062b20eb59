"""What a report draws of scores and labels: ROC, precision and recall, calibration, thresholds, residuals. Numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from components.contract import Task
from components.measures.areas import area_under_roc, count_by_score
from components.measures.intervals import few_rows
from components.measures.ranks import auc_interval

CURVE_POINTS = 201
CALIBRATION_BINS = 12
HISTOGRAM_BINS = 25
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


def binary(labels: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    """ROC, precision-recall, calibration, histograms, a table by threshold; the AUC with its interval if any."""
    positive, score = labels.astype(bool), values.reshape(len(labels)).astype(np.float64)
    false_rate, true_rate, precision = rates(positive, score)
    kept = np.unique(np.linspace(0, len(false_rate) - 1, CURVE_POINTS).astype(int))
    return {
        "auc": [auc(positive, score), *_auc_limits(labels, score)],
        "roc": {"x": _rounded(false_rate[kept]), "y": _rounded(true_rate[kept])},
        "pr": {"x": _rounded(true_rate[kept][1:]), "y": _rounded(precision[kept][1:])},
        "calibration": calibration(positive, score),
        "histogram": histogram(positive, score),
        "thresholds": [at_threshold(positive, score, each) for each in THRESHOLDS],
        "positive_share": float(positive.mean()),
    }


def rates(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False-positive rate, true-positive rate and precision at every distinct score, from none to all."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits, seen = hits[last], last + 1.0
    true_rate = np.append(0.0, hits / max(positive.sum(), 1))
    false_rate = np.append(0.0, (seen - hits) / max((~positive).sum(), 1))
    return false_rate, true_rate, np.append(1.0, hits / seen)


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN where one class is missing."""
    return float(area_under_roc(*count_by_score(positive, score)))


def _auc_limits(labels: np.ndarray, score: np.ndarray) -> tuple[float, ...]:
    """Low and high; empty where the rows are too few for an interval, or it is not known."""
    if few_rows("auc", labels, score):
        return ()
    ends = auc_interval(labels > 0.5, score)
    return ends if np.isfinite(ends).all() else ()


def calibration(positive: np.ndarray, score: np.ndarray) -> list[dict[str, float]]:
    """Bins of equally many rows: mean score, share of positives, rows."""
    parts = np.array_split(np.argsort(score, kind="stable"), CALIBRATION_BINS)
    return [
        {"score": float(score[part].mean()), "positive": float(positive[part].mean()), "rows": len(part)}
        for part in parts
        if len(part)
    ]


def histogram(positive: np.ndarray, score: np.ndarray) -> dict[str, list[float]]:
    """Share of each class's rows by score."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    sides = {"negative": ~positive, "positive": positive}
    counts = {name: np.histogram(score[side], edges)[0] / max(side.sum(), 1) for name, side in sides.items()}
    return {"middle": _rounded((edges[1:] + edges[:-1]) / 2), **{name: _rounded(each) for name, each in counts.items()}}


def at_threshold(positive: np.ndarray, score: np.ndarray, threshold: float) -> dict[str, float]:
    """The four cells, precision, recall and accuracy where scores from `threshold` on count as positive."""
    said = score >= threshold
    cells = {
        "true_positive": int((said & positive).sum()),
        "false_positive": int((said & ~positive).sum()),
        "false_negative": int((~said & positive).sum()),
        "true_negative": int((~said & ~positive).sum()),
    }
    hits, alarms, misses, right = cells.values()
    precision = hits / (hits + alarms) if hits + alarms else 0.0
    recall = hits / (hits + misses) if hits + misses else 0.0
    accuracy = (hits + right) / max(len(score), 1)
    return {"threshold": threshold, **cells, "precision": precision, "recall": recall, "accuracy": accuracy}


def multiclass(labels: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    """The confusion matrix `[truth][decision]`, and the calibration of the largest probability."""
    decided, classes = values.argmax(axis=1), values.shape[1]
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (labels.astype(int), decided), 1)
    return {"confusion": matrix.tolist(), "calibration": calibration(decided == labels, values.max(axis=1))}


def regression(labels: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    """Residuals: a sample of points, and their histogram."""
    predicted = values.reshape(len(labels)).astype(np.float64)
    residual = predicted - labels
    low, high = np.quantile(residual, [0.005, 0.995])
    counts, edges = np.histogram(residual, HISTOGRAM_BINS, (low, high if high > low else low + 1))
    picked = np.random.default_rng(1).permutation(len(labels))[:1500]
    return {
        "points": {"label": _rounded(labels[picked]), "predicted": _rounded(predicted[picked])},
        "residuals": {"middle": _rounded((edges[1:] + edges[:-1]) / 2), "share": _rounded(counts / len(labels))},
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]


DRAWN: dict[Task, Callable[[np.ndarray, np.ndarray], dict[str, Any]]] = {
    "binary": binary,
    "multiclass": multiclass,
    "regression": regression,
}
