"""Names that more than one component must agree on: signatures, outputs, files beside a model.

Nothing here imports TensorFlow or TFX.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Task = Literal["binary", "multiclass", "regression"]

MAIN_METRIC: dict[Task, str] = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}
"""The metric by which a task's models are judged where the configuration names no other."""
HIGHER_IS_BETTER = frozenset(
    {"auc", "pr_auc", "accuracy", "r2", "macro_precision", "macro_recall", "macro_f1", "macro_auc"}
)
LOWER_IS_BETTER = frozenset({"log_loss", "mae", "mse", "rmse"})
"""Calibration is in neither: it is best at 1."""

SERVING_DEFAULT = "serving_default"
"""Signature of one input `examples`: DT_STRING `[None]`, serialized `tf.Example` of raw columns."""
SERVING_RAW = "serving_raw"
"""Signature of one tensor `[None]` a raw column, under a safe tensor name (see `SIGNATURE_INPUTS_FILE`)."""

EXAMPLES_INPUT = "examples"

PROBABILITIES = "probabilities"
"""Output of a classifier: float32 `[batch, 1]` (binary: of the positive class) or `[batch, classes]`."""
PREDICTIONS = "predictions"
"""Output of a regression: float32 `[batch, 1]`, in the label's own unit."""
CLASSES = "classes"
"""Second output of a classifier whose class labels are known: string `[batch]`, the label of the likeliest class."""

SIGNATURE_INPUTS_FILE = "assets.extra/signature_inputs.json"
"""In the SavedModel: `{"version": 1, "inputs": {tensor name: {"column", "dtype", "default"}}}`."""

READING_RULES_FILE = "assets.extra/reading_rules.json"
"""In a pushed version: how training read its rows (`components.tables.rules`). Beside the examples: the same file."""

LINEAGE_FILE = "assets.extra/lineage.json"
"""In a pushed version: the lineage that it carries, as `taxiway lineage --format json` prints it."""
LINEAGE_VARIABLE = "TAXIWAY_LINEAGE_FILE"
"""Environment variable by which the pipeline names that file to the Pusher; not set: the version carries none."""


def score_output(task: Task) -> str:
    """Name of the output that holds the scores of a task's model."""
    return PREDICTIONS if task == "regression" else PROBABILITIES


def serving_model_dir(model_uri: str) -> str:
    """The SavedModel inside a standard `Model` artifact."""
    return str(Path(model_uri) / "Format-Serving")


def training_dir(model_uri: str) -> str:
    """What the trainer leaves beside its SavedModel: `job.json`, `history.json`, the Keras weights."""
    return str(Path(model_uri) / "training")
