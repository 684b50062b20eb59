"""The rows on which a model errs most: where to look first for wrong labels and for what the columns do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from taxiway.components.contract import Task
from taxiway.components.explanation.rows import RawRows
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.weighted import compute_row_losses

LONGEST_TEXT = 200


@dataclass(frozen=True)
class RowError:
    """One row.

    Attributes:
        label: Name of the class, or the number.
        predicted: Prediction of a regression; else the score of the row's own class.
        error: Absolute error; of a classifier the log loss of the row. None where the model gave no finite number.
        values: By column: text, int, float or None.
    """

    label: Any
    predicted: float | None
    error: float | None
    values: dict[str, Any]


def compute_row_errors(task: Task, labels: Floats, scores: Floats) -> Floats:
    """The absolute error of each row, or its log loss: `[rows]`."""
    if task == "regression":
        return np.abs(scores[:, 0] - labels)
    return compute_row_losses(labels, scores)


def list_largest_errors(
    task: Task, rows: RawRows, labels: Floats, scores: Floats, classes: Sequence[str], most: int
) -> list[RowError]:
    """The rows of the largest errors, the largest first.

    Args:
        task: `binary`, `multiclass` or `regression`.
        rows: The rows.
        labels: Class indices or values, `[rows]`.
        scores: Scores of the model, `[rows, 1]` or `[rows, classes]`.
        classes: Names of the classes; may be empty.
        most: Rows that are listed.
    """
    errors = compute_row_errors(task, labels, scores)
    order = np.argsort(-np.nan_to_num(errors, nan=np.inf), kind="stable")[:most]  # no answer is the largest error
    chosen = rows.take(order)
    values = {name: [_shorten(value) for value in chosen.decode(name)] for name in chosen.entries}
    return [
        RowError(
            _name_label(task, labels[row], classes),
            _keep_finite(scores[row, 0] if task == "regression" else np.exp(-errors[row])),
            _keep_finite(errors[row]),
            {name: column[place] for name, column in values.items()},
        )
        for place, row in enumerate(order)
    ]


def _keep_finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _name_label(task: Task, label: float, classes: Sequence[str]) -> Any:
    if task == "regression":
        return float(label)
    return classes[int(label)] if int(label) < len(classes) else int(label)


def _shorten(value: Any) -> Any:
    """Texts are cut: a row may hold a whole document."""
    return f"{value[:LONGEST_TEXT]}…" if isinstance(value, str) and len(value) > LONGEST_TEXT else value
