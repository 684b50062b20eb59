"""Scores of a given model's output, as the metrics take them. Plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxiway.components.contract import Task
from taxiway.components.errors import DataError, UsageError
from taxiway.components.optimizer.measurement import score_values

Scores = NDArray[np.float64]


def choose_score_output(
    task: Task, outputs: Mapping[str, tuple[str, tuple[int | None, ...] | None]], wanted: str
) -> str:
    """The output that a metric judges.

    Args:
        task: Task of the metric.
        outputs: Type and shape by output.
        wanted: Name that was given; empty: the only output that fits.

    Raises:
        UsageError: none fits, or several do.
    """
    listed = ", ".join(f"{name} {dtype}" for name, (dtype, _) in sorted(outputs.items()))
    if wanted:
        if wanted not in outputs:
            raise UsageError(f"The signature has no output {wanted!r}.", f"Its outputs: {listed}.")
        return wanted
    fitting = [name for name, (dtype, shape) in outputs.items() if _fits(task, dtype, shape)]
    if len(fitting) != 1:
        count = "Several outputs" if fitting else "No output"
        raise UsageError(
            f"{count} of the signature can hold the scores of a {task} model: {listed}.",
            "Name it: --output-name NAME.",
        )
    return fitting[0]


def _fits(task: Task, dtype: str, shape: tuple[int | None, ...] | None) -> bool:
    if not dtype.startswith(("float", "bfloat")) or shape is None or len(shape) > 2:
        return False
    width = 1 if len(shape) == 1 else shape[1]
    return width is None or {"multiclass": width > 1, "binary": width <= 2, "regression": width == 1}[task]


def convert_scores(task: Task, values: NDArray[Any], original: NDArray[Any]) -> tuple[Scores, Scores]:
    """An output and the original's as scores `[rows, 1]` or `[rows, classes]`: logits become probabilities. Whether
    they are logits is seen on the original's alone.

    Raises:
        DataError: the output is not of that form.
    """
    scale = score_values.find_scale(_make_table(task, original), task)
    made, reference = (score_values.convert_scores(_make_table(task, each), task, scale) for each in (values, original))
    return made, reference


def _make_table(task: Task, values: NDArray[Any]) -> Scores:
    scores = values.astype(np.float64).reshape(len(values), -1)
    width = scores.shape[1]
    if not {"regression": width == 1, "binary": width <= 2, "multiclass": width >= 2}[task]:
        raise DataError(
            f"An output of {width} numbers a row holds no scores of a {task} model.",
            "Name another output with --output-name, or another metric with --metric.",
        )
    return scores
