"""What is measured on the evaluation split, and what it must reach."""

from __future__ import annotations

from pydantic import Field, model_validator

from components.configuration import Section
from components.contract import Task
from components.errors import ConfigError, close_matches

METRICS: dict[Task, dict[str, tuple[str, dict[str, object]]]] = {
    "binary": {
        "auc": ("AUC", {}),
        "pr_auc": ("AUCPrecisionRecall", {}),
        "log_loss": ("BinaryCrossEntropy", {}),
        "accuracy": ("BinaryAccuracy", {}),
        "calibration": ("Calibration", {}),
    },
    "multiclass": {
        "accuracy": ("SparseCategoricalAccuracy", {}),
        "log_loss": ("SparseCategoricalCrossentropy", {}),
    },
    "regression": {
        "mae": ("MeanAbsoluteError", {}),
        "mse": ("MeanSquaredError", {}),
        "rmse": ("RootMeanSquaredError", {}),
    },
}
"""By task: our name of a metric, TFMA's class for it, and the arguments of that class."""

MAIN_METRIC: dict[Task, str] = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}
HIGHER_IS_BETTER = frozenset({"auc", "pr_auc", "accuracy", "r2", "macro_f1", "macro_auc"})


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
    """By metric. The bar of the first model is a value (`min`, `max`): against the naive model a tolerated change
    passes trivially."""
    slices: tuple[tuple[str, ...], ...] = ()
    """Columns, or combinations of columns, whose values are evaluated apart."""
    slice_thresholds: dict[str, tuple[SliceThreshold, ...]] = Field(default_factory=dict)
    """By metric: bounds that hold in every slice over the given columns, however few rows a slice has."""

    def main(self, task: Task) -> str:
        """The main metric of a task."""
        return self.main_metric or MAIN_METRIC[task]

    def check_metrics(self, task: Task) -> None:
        """Raises `ConfigError` where a threshold or the main metric is none that this task computes."""
        known = METRICS[task]
        for key, names in (
            ("thresholds", self.thresholds),
            ("slice_thresholds", self.slice_thresholds),
            ("main_metric", [self.main_metric] if self.main_metric else []),
        ):
            for name in names:
                if name not in known:
                    raise ConfigError(
                        f"evaluation.{key} names the metric {name!r}, which a {task} model does not have.",
                        close_matches(name, known),
                    )
