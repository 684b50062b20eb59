"""The scores of a model that anybody has trained, in the form of ours: probabilities `[rows, 1]` or `[rows, classes]`.

Many classifiers answer with logits. Whether a model does is seen on the reference's scores of all evaluation rows; its
variants, whose scores may leave the range by rounding, are read the same way. Plain numpy.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from taxiway.components.contract import Task
from taxiway.components.errors import DataError

Scale = Literal["probabilities", "logits", "values"]
Floats = NDArray[np.float64]
_TOLERANCE = 1e-3


def find_scale(scores: Floats, task: Task) -> Scale:
    """What the reference's scores `[rows]` or `[rows, columns]` are."""
    if task == "regression":
        return "values"
    if scores.min(initial=0.0) < -_TOLERANCE or scores.max(initial=0.0) > 1 + _TOLERANCE:
        return "logits"
    several = scores.ndim == 2 and scores.shape[1] > 1
    return "logits" if several and np.abs(scores.sum(axis=1) - 1).max(initial=0.0) > 0.01 else "probabilities"


def convert_scores(scores: Floats, task: Task, scale: Scale) -> Floats:
    """Scores as the metrics take them: a column of the positive class or of values, or a column a class.

    Raises:
        DataError: Their shape is not that of the task's scores.
    """
    table = scores.reshape(len(scores), -1) if scores.ndim < 2 or scores.shape[1:] == (1,) else scores
    if table.ndim != 2 or (task == "regression" and table.shape[1] != 1) or (task == "binary" and table.shape[1] > 2):
        wanted = {"regression": "one number", "binary": "one or two numbers"}.get(task, "one number a class")
        raise DataError(
            f"The prediction output has the shape {list(scores.shape)}; a {task} task wants {wanted} a row.",
            "Name another output with prediction_output=, or another task.",
        )
    if task == "multiclass" and table.shape[1] < 2:
        raise DataError(
            "The prediction output has one number a row; a multiclass task wants one a class.",
            "Name another output with prediction_output=, or another task.",
        )
    answers = _convert_logits(table) if scale == "logits" else table
    return answers[:, 1:] if task == "binary" and answers.shape[1] == 2 else answers


def check_classes(scores: Floats, labels: Floats, task: Task) -> None:
    """Refuses labels for which the model has no score.

    Raises:
        DataError: A label is no class of the model.
    """
    if task == "multiclass" and labels.max(initial=0.0) >= scores.shape[1]:
        raise DataError(
            f"A label is {labels.max():g}, and the model has scores of {scores.shape[1]} classes, from 0 on.",
            "The label must be the index of a class, as the model was trained with: name the one that was used.",
        )


def _convert_logits(logits: Floats) -> Floats:
    if logits.shape[1] == 1:
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
