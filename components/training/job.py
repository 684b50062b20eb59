"""The training job and its result: values that travel as JSON between processes."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from pydantic import Field

from taxiway.components.config_section import Section
from taxiway.components.contract import Task
from taxiway.components.errors import DataError
from taxiway.components.saved_models.decision_rule import DecisionRule
from taxiway.components.training.config import ModelConfig, TrainingConfig

JOB_FILE = "job.json"
HISTORY_FILE = "history.json"
WEIGHTS_FILE = "weights.h5"


class LabelScale(Section):
    """How a regression's label is scaled in training. Predictions are in the label's own unit."""

    mean: float = 0.0
    scale: float = 1.0


class TrainingJob(Section):
    """A training run: data, model, settings, and where its outputs go."""

    transform_graph: str
    """Folder of Transform's `transform_graph`."""
    train_files: tuple[str, ...]
    """Files or glob patterns of transformed examples: TFRecord, gzip where they end in `.gz`."""
    eval_files: tuple[str, ...]
    rows: dict[str, int] = Field({})
    """Rows by split, as ExampleGen counted them; a split that is not there was not counted."""
    class_rows: dict[str, tuple[int, ...]] = Field({})
    """Rows of each class by split, as ExampleGen counted them; empty where they were not, and for a regression."""
    label: str
    task: Task
    class_labels: tuple[str, ...] = ()
    """Labels in the order of their class indices, where known."""
    left_out: tuple[str, ...] = ()
    """Raw columns that are no features: no inputs of the exported signatures."""
    raw_schema: str = ""
    """Path of the raw schema; empty: the transform graph's own copy."""
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    export_dir: str = ""
    """Where the SavedModel goes."""
    training_dir: str = ""
    """Where weights, job and history go."""
    checkpoint_dir: str = ""
    """Where checkpoints go: a folder of this job's own, outside TFX's outputs; empty: none are written."""
    log_dir: str = ""
    """Where TensorBoard's files go; empty: none are written."""
    cluster_pod: dict[str, Any] = Field({})
    """The pod of a task, for `training.cluster.where: kubernetes`: a `PodTemplateSpec` without a command."""
    fingerprint: str = ""
    """Of data, configuration and code. A checkpoint with another one is not resumed from."""
    warm_start_from: str = ""
    """A `Model` artifact's folder or a checkpoint folder."""
    label_scale: LabelScale = LabelScale()
    classes: int = Field(0, ge=0)
    """Number of classes; 0: found in the training data."""
    decision_rule: DecisionRule | None = None
    """How logits become probabilities and a label; None: fitted after training."""


class TrainingResult(Section):
    """The result of a training run."""

    strategy: str
    replicas: int
    steps: int
    """Optimizer steps of the whole run, those before a resume included."""
    rows: int
    """Rows seen."""
    seconds: float
    """Wall time in training and evaluation, those before a resume included."""
    cpu_seconds: float = 0.0
    """Processor time of the training process, from its first row read to the export; of this attempt and, in a
    cluster, of this worker."""
    restarts: int
    best_step: int
    metrics: dict[str, float]
    """Of the exported checkpoint on the eval split."""
    decision_rule: DecisionRule | None = None
    """Of a classifier, fitted on the eval split."""
    stopped: str
    """Why it ended: `done`, `early_stop`, `time_budget`."""


def resolve_files(patterns: tuple[str, ...], what: str) -> list[str]:
    """The files that `patterns` name, sorted.

    Raises:
        DataError: there are none.
    """
    files = sorted(
        {file for pattern in patterns for file in _expand_pattern(pattern) if not Path(file).name.startswith(".")}
    )
    if not files:
        raise DataError(f"No {what} files match {', '.join(patterns)}.", "Run Transform first, or mend the paths.")
    return files


def _expand_pattern(pattern: str) -> list[str]:
    if "://" not in pattern:
        return [f for f in glob.glob(pattern) if Path(f).is_file()]  # noqa: PTH207 - patterns may be absolute
    import tensorflow as tf  # remote file systems are TensorFlow's to read

    return list(tf.io.gfile.glob(pattern))
