"""What is measured on the evaluation split, and what it must reach."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from components.configuration import Section
from components.contract import MAIN_METRIC, Task
from components.errors import ConfigError, close_matches

OWN = "components.evaluation.metrics"
BINARY = "components.evaluation.binary.BinaryMetric"
METRICS: dict[Task, dict[str, tuple[str, dict[str, object]]]] = {
    "binary": {
        "auc": (BINARY, {"kind": "auc"}),
        "pr_auc": (BINARY, {"kind": "pr_auc"}),
        "log_loss": (BINARY, {"kind": "log_loss"}),
        "accuracy": (BINARY, {"kind": "accuracy"}),
        "calibration": (BINARY, {"kind": "calibration"}),
    },
    "multiclass": {
        "accuracy": ("SparseCategoricalAccuracy", {}),
        "log_loss": ("SparseCategoricalCrossentropy", {}),
        "macro_precision": (f"{OWN}.ClassMetric", {"kind": "precision"}),
        "macro_recall": (f"{OWN}.ClassMetric", {"kind": "recall"}),
        "macro_f1": (f"{OWN}.ClassMetric", {"kind": "f1"}),
        "macro_auc": (f"{OWN}.ClassMetric", {"kind": "auc"}),
    },
    "regression": {
        "mae": ("MeanAbsoluteError", {}),
        "mse": ("MeanSquaredError", {}),
        "rmse": ("RootMeanSquaredError", {}),
        "r2": (f"{OWN}.RSquared", {}),
    },
}
"""By task: our name of a metric, TFMA's class for it (or a dotted path), and the arguments of that class."""

JUDGED_ROWS = "judged_rows"
"""The rows that a verdict rests on: of the class that has the fewest, of a regression all."""
POSITIVES = "positives"
"""Rows of the positive class of a binary label."""
ROW_COUNTS: dict[Task, dict[str, tuple[str, dict[str, object]]]] = {
    "binary": {
        POSITIVES: (BINARY, {"kind": "positives"}),
        JUDGED_ROWS: (BINARY, {"kind": "judged_rows"}),
    },
    "multiclass": {JUDGED_ROWS: (f"{OWN}.ClassMetric", {"kind": "rows"})},
    "regression": {JUDGED_ROWS: (f"{OWN}.RowCount", {})},
}
"""What is counted beside the metrics, in every slice; in the form of `METRICS`."""

CLASS_KINDS = ("precision", "recall", "f1", "auc")
"""What is measured of each class of a multiclass model, under names such as `recall[virginica]`."""
MOST_CLASSES = 30
"""With more classes only those are measured one by one that have a threshold."""

OPTIMIZABLE: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "pr_auc", "accuracy", "log_loss"),
    "multiclass": ("accuracy", "log_loss"),
    "regression": ("mae", "mse", "rmse"),
}
"""What the main metric may be: the optimizer measures it too, with an interval."""


class Threshold(Section):
    """Bounds of one metric; the change is against the baseline: the live model, or the naive one where none is live."""

    min: float | None = None
    max: float | None = None
    max_drop: float | None = Field(None, ge=0)
    """How far below the baseline's value the metric may fall, for metrics where more is better."""
    max_rise: float | None = Field(None, ge=0)
    """How far above the baseline's value the metric may rise, for metrics where less is better."""

    @model_validator(mode="after")
    def _one_direction(self) -> Threshold:
        if self.max_drop is not None and self.max_rise is not None:
            raise ValueError("max_drop and max_rise exclude each other: a metric is better one way")
        return self


class SliceThreshold(Threshold):
    """Bounds of one metric in every slice over the named columns."""

    columns: tuple[str, ...]


class EvaluationConfig(Section):
    """The Evaluator's metrics, slices and thresholds."""

    main_metric: str = ""
    """The metric that is shown first and that the optimizer must keep; by default auc, accuracy or rmse by the task."""
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """By metric, such as `auc`; with more than two classes also for one of them, `recall[virginica]`. The bar of the
    first model is a value (`min`, `max`): against the naive model a tolerated change passes trivially."""
    slices: tuple[tuple[str, ...], ...] = ()
    """Columns, or combinations of columns, whose values are evaluated apart."""
    slice_thresholds: dict[str, tuple[SliceThreshold, ...]] = Field(default_factory=dict)
    """By metric: bounds that hold in every slice over the given columns, however few rows a slice has."""

    def main(self, task: Task) -> str:
        """The main metric of a task."""
        return self.main_metric or MAIN_METRIC[task]

    def check_metrics(self, task: Task, classes: Sequence[str] = ()) -> None:
        """Raises `ConfigError` where a threshold or the main metric is none that this task computes.

        Args:
            task: `binary`, `multiclass` or `regression`.
            classes: The label's classes as configured; metrics of single classes need them.
        """
        known = [*METRICS[task], *class_metrics(task, classes)]
        for key, names, accepted in (
            ("thresholds", self.thresholds, known),
            ("slice_thresholds", self.slice_thresholds, known),
            ("main_metric", [self.main_metric] if self.main_metric else [], OPTIMIZABLE[task]),
        ):
            for name in names:
                if name not in accepted:
                    raise ConfigError(
                        f"evaluation.{key} names the metric {name!r}, which {_who(key, task, name, known)}.",
                        _hint(name, accepted, classes),
                    )


def class_metrics(task: Task, classes: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Names of the metrics of single classes, such as `recall[virginica]`: the kind, and the class's index."""
    if task != "multiclass":
        return {}
    return {f"{kind}[{name}]": (kind, index) for index, name in enumerate(classes) for kind in CLASS_KINDS}


def _who(key: str, task: Task, name: str, known: Sequence[str]) -> str:
    if key == "main_metric" and name in known:
        return "the optimizer does not measure"
    return f"a {task} model does not have"


def _hint(name: str, accepted: Sequence[str], classes: Sequence[str]) -> str:
    if "[" in name and not classes:
        return "Metrics of single classes need label.classes: name them there, in the order of their indices."
    return close_matches(name, accepted)
