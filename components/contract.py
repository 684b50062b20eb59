"""Names that more than one component must agree on: signatures, outputs, files beside a model.

Nothing here imports TensorFlow or TFX.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

Task = Literal["binary", "multiclass", "regression"]

MAIN_METRIC: dict[Task, str] = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}
"""The metric by which a task's models are judged where the configuration names no other."""
HIGHER_IS_BETTER = frozenset(
    {
        *("auc", "pr_auc", "accuracy", "precision", "recall", "f1", "r2"),
        *("macro_precision", "macro_recall", "macro_f1", "macro_auc"),
    }
)
LOWER_IS_BETTER = frozenset(
    {"log_loss", "brier", "ece", "mae", "mse", "rmse", "median_absolute_error", "p90_absolute_error"}
)
"""Calibration is in neither: it is best at 1."""
SLICES_MARK, OVERALL_SUFFIX, DROP_SUFFIX = " (slices over ", " (all rows)", " (how much worse)"
"""In the names under which an evaluation holds no metric, but what a threshold is asked of: in slices, over all rows,
and how much worse a metric may be than the baseline's."""
DETAIL_METRICS = frozenset({"brier", "ece", "precision", "recall", "f1", "median_absolute_error", "p90_absolute_error"})
"""Metrics that the tables on a terminal, which has no room, leave to the report and to `--json`."""

TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT = "train", "eval", "test"
SPLITS = (TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT)
"""Of the examples, in this order: `train` trains; `eval` stops training and chooses checkpoint, threshold, temperature
and variant; `test` judges, and nothing but the Evaluators, ModelExplainer and the report reads it. Examples may lack
`test`: `eval` then judges too (`find_judging_split`)."""

SERVING_DEFAULT = "serving_default"
"""Signature of one input `examples`: DT_STRING `[None]`, serialized `tf.Example` of raw columns."""
SERVING_RAW = "serving_raw"
"""Signature of one tensor `[None]` a raw column, under a safe tensor name (see `SIGNATURE_INPUTS_FILE`)."""

EXAMPLES_INPUT = "examples"

PROBABILITIES = "probabilities"
"""Output of a classifier: float32 `[batch, 1]` (binary: of the positive class) or `[batch, classes]`."""
PREDICTIONS = "predictions"
"""Output of a regression: float32 `[batch, 1]`, in the label's own unit."""
PREDICTED_LABEL = "predicted_label"
"""Second output of a classifier whose class labels are known: string `[batch]`, the label that a row is decided for.
Binary: the positive one above the model's threshold; else the likeliest one."""

SIGNATURE_INPUTS_FILE = "assets.extra/signature_inputs.json"
"""In the SavedModel: `{"version": 1, "inputs": {tensor name: {"column", "dtype", "default"}}}`."""

DECISION_RULE_FILE = "assets.extra/decision_rule.json"
"""In the SavedModel of a classifier: temperature and threshold (`taxiway.components.saved_models.decision_rule`)."""

COLUMNS_FILE = "columns.json"
"""Beside the transform graph: the raw column behind each position of the built-in features, and what a model must know
of these: the number of quantile bins, and the vocabulary."""

READING_RULES_FILE = "assets.extra/reading_rules.json"
"""In a pushed version: how training read its rows (`taxiway.components.tables.reading_rules`).

The examples have the same file beside them.
"""

TRAINING_STATISTICS_FILE = "assets.extra/training_statistics.pb"
TRAINING_SCHEMA_FILE = "assets.extra/training_schema.pbtxt"
TRAINING_REFERENCE_FILE = "assets.extra/training_reference.json"
"""In a pushed version: what its traffic is compared with (`taxiway.components.saved_models.training_reference`)."""

LINEAGE_FILE = "assets.extra/lineage.json"
"""In a pushed version: the lineage that it carries, as `taxiway lineage --format json` prints it."""
LINEAGE_VARIABLE = "TAXIWAY_LINEAGE_FILE"
"""Environment variable by which the pipeline names that file to the Pusher; not set: the version carries none."""


def is_bound(name: str) -> bool:
    """Whether an evaluation holds under this name what a threshold is asked of, and no metric to be shown."""
    return SLICES_MARK in name or name.endswith((OVERALL_SUFFIX, DROP_SUFFIX))


def score_output(task: Task) -> str:
    """Name of the output that holds the scores of a task's model."""
    return PREDICTIONS if task == "regression" else PROBABILITIES


def find_judging_split(splits: Collection[str]) -> str:
    """The split whose rows judge a model: `test`, or `eval` of examples that have none."""
    return TEST_SPLIT if TEST_SPLIT in splits else EVAL_SPLIT


def split_dir(examples_uri: str, split: str) -> str:
    """The folder of one split inside a standard `Examples` artifact."""
    return str(Path(examples_uri) / f"Split-{split}")


def judging_split_dir(examples_uri: str) -> str:
    """The folder of the split whose rows judge a model, inside a local `Examples` artifact."""
    tested = split_dir(examples_uri, TEST_SPLIT)
    return tested if Path(tested).is_dir() else split_dir(examples_uri, EVAL_SPLIT)


def serving_model_dir(model_uri: str) -> str:
    """The SavedModel inside a standard `Model` artifact."""
    return str(Path(model_uri) / "Format-Serving")


def training_dir(model_uri: str) -> str:
    """What the trainer leaves beside its SavedModel: `job.json`, `history.json`, the Keras weights."""
    return str(Path(model_uri) / "training")
