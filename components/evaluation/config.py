"""What is measured on the evaluation split, and what it must reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import Field, model_validator

from taxiway.components.config_section import Section
from taxiway.components.contract import DROP_SUFFIX, MAIN_METRIC, OVERALL_SUFFIX, SLICES_MARK, Task
from taxiway.components.errors import ConfigError, suggest_matches
from taxiway.components.extensions import list_extensions, load_extension

OWN = "taxiway.components.evaluation.metrics"
SLICE_BOUND = "taxiway.components.evaluation.slice_bounds.SliceBound"
DROP_BOUND = "taxiway.components.evaluation.drop_bounds.DropBound"
BINARY = "taxiway.components.evaluation.binary.BinaryMetric"
BATCH_METRICS = frozenset(
    {BINARY, DROP_BOUND, *(f"{OWN}.{name}" for name in ("ClassMetric", "ModelMetric", "RegressionMetric", "RowCount"))}
)
"""Classes of metrics that take thousands of rows at a time."""
METRICS: dict[Task, dict[str, tuple[str, dict[str, object]]]] = {
    "binary": {
        "auc": (BINARY, {"kind": "auc"}),
        "pr_auc": (BINARY, {"kind": "pr_auc"}),
        "log_loss": (BINARY, {"kind": "log_loss"}),
        "accuracy": (BINARY, {"kind": "accuracy"}),
        "calibration": (BINARY, {"kind": "calibration"}),
        "brier": (BINARY, {"kind": "brier"}),
        "ece": (BINARY, {"kind": "ece"}),
        "precision": (BINARY, {"kind": "precision"}),
        "recall": (BINARY, {"kind": "recall"}),
        "f1": (BINARY, {"kind": "f1"}),
    },
    "multiclass": {
        "accuracy": (f"{OWN}.ModelMetric", {"kind": "accuracy"}),
        "log_loss": (f"{OWN}.ModelMetric", {"kind": "log_loss"}),
        "macro_precision": (f"{OWN}.ClassMetric", {"kind": "precision"}),
        "macro_recall": (f"{OWN}.ClassMetric", {"kind": "recall"}),
        "macro_f1": (f"{OWN}.ClassMetric", {"kind": "f1"}),
        "macro_auc": (f"{OWN}.ClassMetric", {"kind": "auc"}),
    },
    "regression": {
        "mae": (f"{OWN}.RegressionMetric", {"kind": "mae"}),
        "mse": (f"{OWN}.RegressionMetric", {"kind": "mse"}),
        "rmse": (f"{OWN}.RegressionMetric", {"kind": "rmse"}),
        "r2": (f"{OWN}.RegressionMetric", {"kind": "r2"}),
        "median_absolute_error": (f"{OWN}.RegressionMetric", {"kind": "median_absolute_error"}),
        "p90_absolute_error": (f"{OWN}.RegressionMetric", {"kind": "p90_absolute_error"}),
    },
}
"""By task: our name of a metric, the dotted path of its class, and the arguments of that class."""

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


def name_slice_bound(metric: str, columns: Sequence[str]) -> str:
    """Under which name the Evaluator reports what a threshold is asked of (`slice_bounds`).

    Args:
        metric: Name of the metric.
        columns: Columns of the slices; without any the threshold is over all rows.
    """
    return f"{metric}{SLICES_MARK}{', '.join(sorted(columns))})" if columns else f"{metric}{OVERALL_SUFFIX}"


def strip_slice_bound(name: str) -> str | None:
    """The metric of such a name; None for the name of a metric."""
    if name.endswith(OVERALL_SUFFIX):
        return name.removesuffix(OVERALL_SUFFIX)
    metric, found, _ = name.partition(SLICES_MARK)
    return metric if found else None


def name_drop_bound(metric: str) -> str:
    """Under which name the second Evaluator reports how much worse a metric may be (`drop_bounds`)."""
    return metric + DROP_SUFFIX


def strip_drop_bound(name: str) -> str | None:
    """The metric of such a name; None for the name of a metric."""
    return name.removesuffix(DROP_SUFFIX) if name.endswith(DROP_SUFFIX) else None


@dataclass(frozen=True)
class MetricSpec:
    """A metric that another package adds (`taxiway.metrics`).

    Attributes:
        class_name: Dotted path of a class of TFMA's metrics (`tfma.metrics.Metric`), whose result is one number.
        tasks: Tasks that have it.
        arguments: Arguments of the class, beside the name.
    """

    class_name: str
    tasks: tuple[Task, ...]
    arguments: dict[str, object] = field(default_factory=dict)


def find_added_metric(name: str, task: Task) -> tuple[str, dict[str, object]] | None:
    """Class and arguments of a metric that an installed package adds; None where none does, or not for this task.

    Raises:
        ConfigError: What it adds is no metric.
    """
    spec = load_extension("taxiway.metrics", name)
    if spec is None:
        return None
    if not isinstance(spec, MetricSpec):
        raise ConfigError(f"The entry point {name!r} of taxiway.metrics is {spec!r}.", "It must be a MetricSpec.")
    return (spec.class_name, dict(spec.arguments)) if task in spec.tasks else None


OPTIMIZABLE: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "pr_auc", "accuracy", "log_loss"),
    "multiclass": ("accuracy", "log_loss"),
    "regression": ("mae", "mse", "rmse"),
}
"""What the main metric may be: the optimizer measures it too, with an interval."""


def check_drop_metric(name: str, task: Task) -> None:
    """Raises `ConfigError` for a metric of which no paired interval is known: two models cannot be judged by it at the
    bad end of their difference, and as measured alone it would pass half of what is worse by the limit."""
    if name not in OPTIMIZABLE[task]:
        raise ConfigError(
            f"How much worse the metric {name!r} of a {task} model may be than the baseline's cannot be judged: "
            "no interval of its difference on the same rows is known.",
            f"{suggest_matches(name, OPTIMIZABLE[task])} {_suggest_thresholds(name)}",
        )


def _suggest_thresholds(name: str) -> str:
    return f"A metric that the model has can be bounded in the first Evaluator: evaluation.thresholds.{name}."


class Threshold(Section):
    """Bounds of one metric; the change is against the baseline: the live model, or the naive one where none is live."""

    min: float | None = None
    max: float | None = None
    max_drop: float | None = Field(None, ge=0)
    """How far below the baseline's value the metric may fall, for metrics where more is better."""
    max_rise: float | None = Field(None, ge=0)
    """How far above the baseline's value the metric may rise, for metrics where less is better."""

    @model_validator(mode="after")
    def _check_one_direction(self) -> Threshold:
        if self.max_drop is not None and self.max_rise is not None:
            raise ValueError("max_drop and max_rise exclude each other: a metric is better one way")
        return self


class SliceThreshold(Threshold):
    """Bounds of one metric in every slice over the named columns."""

    columns: tuple[str, ...] = Field(min_length=1)


class EvaluationConfig(Section):
    """The Evaluator's metrics, slices and thresholds."""

    metrics: tuple[str, ...] = ()
    """Metrics that installed packages add (`taxiway.metrics`), by name. With one of them TFMA computes the evaluation
    in its own Beam pipeline, which is slower."""
    main_metric: str = ""
    """The metric that is shown first and that the optimizer must keep; by default auc, accuracy or rmse by the task."""
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """By metric, such as `auc`; with more than two classes also for one of them, `recall[virginica]`. The bar of the
    first model is a value (`min`, `max`): against the naive model a tolerated change passes trivially. On fewer than 10
    rows of either class (of a regression: 20 rows) they decide nothing; `gates.min_rows_per_class` then blocks."""
    slices: tuple[tuple[str, ...], ...] = ()
    """Columns, or combinations of columns, whose values are evaluated apart."""
    slice_thresholds: dict[str, tuple[SliceThreshold, ...]] = Field(default_factory=dict)
    """By metric: bounds that hold in every slice over the given columns. A slice of fewer than 10 rows of either class
    (of a regression: 20 rows) decides nothing."""

    def get_main_metric(self, task: Task) -> str:
        """The main metric of a task."""
        return self.main_metric or MAIN_METRIC[task]

    def check_metrics(self, task: Task, classes: Sequence[str] = ()) -> None:
        """Raises `ConfigError` where a threshold or the main metric is none that this task computes.

        Args:
            task: `binary`, `multiclass` or `regression`.
            classes: The label's classes as configured; metrics of single classes need them.
        """
        metric_names = [*METRICS[task], *list_class_metrics(task, classes), *self.metrics]
        added = [name for name in list_extensions("taxiway.metrics") if find_added_metric(name, task)]
        for key, names, accepted in (
            ("metrics", self.metrics, added),
            ("thresholds", self.thresholds, metric_names),
            ("slice_thresholds", self.slice_thresholds, metric_names),
            ("main_metric", [self.main_metric] if self.main_metric else [], OPTIMIZABLE[task]),
        ):
            for name in names:
                if name not in accepted:
                    raise ConfigError(
                        f"evaluation.{key} names the metric {name!r}, which "
                        f"{_explain_unknown(key, task, name, metric_names)}.",
                        _suggest_metric(key, name, accepted, classes),
                    )


def list_class_metrics(task: Task, classes: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Names of the metrics of single classes, such as `recall[virginica]`: the kind, and the class's index."""
    if task != "multiclass":
        return {}
    return {f"{kind}[{name}]": (kind, index) for index, name in enumerate(classes) for kind in CLASS_KINDS}


def _explain_unknown(key: str, task: Task, name: str, metric_names: Sequence[str]) -> str:
    if key == "main_metric" and name in metric_names:
        return "the optimizer does not measure"
    return f"a {task} model does not have"


def _suggest_metric(key: str, name: str, accepted: Sequence[str], classes: Sequence[str]) -> str:
    if "[" in name and not classes:
        return "Metrics of single classes need label.classes: name them there, in the order of their indices."
    suggestion = suggest_matches(name, accepted)
    return f"{suggestion} {_suggest_thresholds(name)}" if key == "main_metric" else suggestion
