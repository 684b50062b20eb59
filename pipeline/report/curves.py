"""Curves from scores and labels: ROC, precision and recall, calibration, thresholds, residuals. Numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np

from taxiway.components.contract import Task
from taxiway.components.metrics import FEWEST_CLASS_ROWS
from taxiway.components.metrics.auc_intervals import compute_auc_interval
from taxiway.components.metrics.calibration_error import compute_calibration_limits
from taxiway.components.metrics.curve_areas import compute_roc_auc, count_by_score
from taxiway.components.metrics.intervals import find_interval_refusal
from taxiway.components.metrics.weighted import EVEN, decide_classes

CURVE_POINTS = 201
CALIBRATION_BINS = 12
HISTOGRAM_BINS = 25
ERROR_SHARES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


def summarize_scores(task: Task, labels: np.ndarray, values: np.ndarray, threshold: float) -> dict[str, Any]:
    """What is drawn of a model's scores.

    Args:
        task: `binary`, `multiclass` or `regression`.
        labels: Class indices or values, `[rows]`.
        values: Scores, `[rows, 1]` or `[rows, classes]`.
        threshold: Score above which a binary model decides for the positive class.
    """
    if task == "binary":
        return summarize_binary(labels, values, threshold)
    return summarize_multiclass(labels, values) if task == "multiclass" else summarize_regression(labels, values)


def summarize_binary(labels: np.ndarray, values: np.ndarray, threshold: float = EVEN) -> dict[str, Any]:
    """ROC, precision-recall, calibration, histograms, a table by threshold, the served one among them; the AUC with its
    interval if any."""
    positive, score = labels.astype(bool), values.reshape(len(labels)).astype(np.float64)
    false_rate, true_rate, precision = compute_rates(positive, score)
    kept = np.unique(np.linspace(0, len(false_rate) - 1, CURVE_POINTS).astype(int))
    return {
        "auc": [compute_auc(positive, score), *_compute_auc_limits(labels, score)],
        "ece": _compute_calibration_error(positive, score),
        "confusion": _count_decisions(labels, decide_classes(score, threshold), 2),
        "threshold": threshold,
        "roc": {"x": _round_values(false_rate[kept]), "y": _round_values(true_rate[kept])},
        "roc_thresholds": _round_values(list_thresholds(score)[kept]),
        "pr": {"x": _round_values(true_rate[kept][1:]), "y": _round_values(precision[kept][1:])},
        "calibration": compute_calibration(positive, score),
        "histogram": compute_histogram(positive, score),
        "thresholds": [evaluate_threshold(positive, score, each) for each in sorted({*THRESHOLDS, threshold})],
        "positive_share": float(positive.mean()),
    }


def compute_rates(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False-positive rate, true-positive rate and precision at every distinct score, from none to all."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits, seen = hits[last], last + 1.0
    true_rate = np.append(0.0, hits / max(positive.sum(), 1))
    false_rate = np.append(0.0, (seen - hits) / max((~positive).sum(), 1))
    return false_rate, true_rate, np.append(1.0, hits / seen)


def list_thresholds(score: np.ndarray) -> np.ndarray:
    """The score from which rows count as positive at each point of `compute_rates`; at the first point, none do."""
    distinct = np.unique(score)[::-1]
    return np.append(max(1.0, distinct[0]), distinct)


def compute_auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN where one class is missing."""
    return float(compute_roc_auc(*count_by_score(positive, score)))


def _compute_auc_limits(labels: np.ndarray, score: np.ndarray) -> tuple[float, ...]:
    """Low and high; empty where the rows are too few for an interval, or it is not known."""
    if find_interval_refusal("auc", labels, score):
        return ()
    ends = compute_auc_interval(labels > 0.5, score)
    return ends if np.isfinite(ends).all() else ()


def compute_calibration(positive: np.ndarray, score: np.ndarray) -> list[dict[str, float]]:
    """Bins of equally many rows: mean score, share of positives, rows."""
    parts = np.array_split(np.argsort(score, kind="stable"), CALIBRATION_BINS)
    return [
        {"score": float(score[part].mean()), "positive": float(positive[part].mean()), "rows": len(part)}
        for part in parts
        if len(part)
    ]


def _compute_calibration_error(right: np.ndarray, score: np.ndarray) -> list[float]:
    """The expected calibration error, and its ends where there are enough rows of both outcomes."""
    limits = compute_calibration_limits(right.astype(np.float64), score.astype(np.float64))
    few = min(right.sum(), (~right).sum()) < FEWEST_CLASS_ROWS
    return [limits.value] if few else [limits.value, limits.low, limits.high]


def _count_decisions(labels: np.ndarray, decided: np.ndarray, classes: int) -> list[list[int]]:
    """The confusion matrix `[truth][decision]`."""
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (labels.astype(int), decided), 1)
    counts: list[list[int]] = matrix.tolist()
    return counts


def compute_histogram(positive: np.ndarray, score: np.ndarray) -> dict[str, list[float]]:
    """Share of each class's rows by score."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    sides = {"negative": ~positive, "positive": positive}
    counts = {name: np.histogram(score[side], edges)[0] / max(side.sum(), 1) for name, side in sides.items()}
    return {
        "middle": _round_values((edges[1:] + edges[:-1]) / 2),
        **{name: _round_values(each) for name, each in counts.items()},
    }


def evaluate_threshold(positive: np.ndarray, score: np.ndarray, threshold: float) -> dict[str, float]:
    """Confusion matrix, precision, recall and accuracy where scores above `threshold` count as positive."""
    said = decide_classes(score, threshold) == 1
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


def summarize_multiclass(labels: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    """The confusion matrix `[truth][decision]`, and the calibration of the largest probability."""
    decided, likeliest = decide_classes(values), values.max(axis=1)
    return {
        "confusion": _count_decisions(labels, decided, values.shape[1]),
        "calibration": compute_calibration(decided == labels, likeliest),
        "ece": _compute_calibration_error(decided == labels, likeliest),
    }


def summarize_regression(labels: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    """Residuals: a sample of points, their histogram, their quantiles."""
    predicted = values.reshape(len(labels)).astype(np.float64)
    residual = predicted - labels
    low, high = np.quantile(residual, [0.005, 0.995])
    counts, edges = np.histogram(residual, HISTOGRAM_BINS, (low, high if high > low else low + 1))
    picked = np.random.default_rng(1).permutation(len(labels))[:1500]
    return {
        "points": {"label": _round_values(labels[picked]), "predicted": _round_values(predicted[picked])},
        "residuals": {
            "middle": _round_values((edges[1:] + edges[:-1]) / 2),
            "share": _round_values(counts / len(labels)),
        },
        "error_quantiles": _compute_error_quantiles(residual),
    }


def _compute_error_quantiles(residual: np.ndarray) -> list[dict[str, float]]:
    """What shares of the rows err by at most, and how far predictions lie above the label at most."""
    sizes = np.quantile(np.abs(residual), ERROR_SHARES)
    return [
        {"share": share, "residual": float(low), "absolute": float(size)}
        for share, low, size in zip(ERROR_SHARES, np.quantile(residual, ERROR_SHARES), sizes, strict=True)
    ]


def _round_values(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]
