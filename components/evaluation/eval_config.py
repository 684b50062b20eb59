"""From the configuration to TFMA's EvalConfig, for both Evaluators."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2
from tensorflow_model_analysis.proto import config_pb2

from taxiway.components.contract import HIGHER_IS_BETTER, SERVING_DEFAULT, Task, score_output
from taxiway.components.evaluation.config import (
    BATCH_METRICS,
    BINARY,
    DROP_BOUND,
    JUDGED_ROWS,
    METRICS,
    MOST_CLASSES,
    OWN,
    ROW_COUNTS,
    SLICE_BOUND,
    EvaluationConfig,
    Threshold,
    check_drop_metric,
    find_added_metric,
    list_class_metrics,
    name_drop_bound,
    name_slice_bound,
)


def build_eval_config(
    config: EvaluationConfig, label: str, task: Task, classes: Sequence[str] = (), min_rows_per_class: int = 0
) -> config_pb2.EvalConfig:
    """TFMA's configuration of the first Evaluator: candidate against the baseline, all thresholds.

    Both models are called through `serving_default`, as TensorFlow Serving will call them, so what is evaluated is what
    is served: the transform graph included.

    Args:
        config: Thresholds and slices.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        classes: The label's classes, where configured: each is measured, up to `MOST_CLASSES` of them.
        min_rows_per_class: Fewest rows of each class (of a regression: fewest rows) on which a model is blessed; 0 for
            any. Without a threshold on a metric it is not asked for: TFMA would bless every model that has the rows.
    """
    config.check_metrics(task, classes)
    bounded = bool(config.thresholds or config.slice_thresholds)
    metrics = []
    for name, (class_name, arguments) in _select_metrics(config, task, classes).items():
        metrics += _build_bounded_metric(name, class_name, arguments, config.thresholds.get(name))
        metrics += [
            _build_row_bound(name, class_name, arguments, bound, bound.columns)
            for bound in config.slice_thresholds.get(name, ())
        ]
    rows = _build_row_counts(task, classes, min_rows_per_class if bounded else 0)
    return _assemble_config(config, label, task, [*rows, *metrics])


def build_optimized_eval_config(
    config: EvaluationConfig,
    label: str,
    task: Task,
    allowed_drops: Mapping[str, float],
    min_rows_per_class: int = 0,
) -> config_pb2.EvalConfig:
    """The second Evaluator's: how much worse than the trained model the optimized one may be.

    Judged as measured, and at the bad end of the paired difference's interval.

    Args:
        config: Slices.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        allowed_drops: Allowed drop by metric, as the optimizer's constraints have it: a difference where more is
            better, a share of the value for losses and errors.
        min_rows_per_class: Fewest rows, as in `build_eval_config`.

    Raises:
        ConfigError: Of a metric no paired interval is known, such as of one that another package adds.
    """
    for name in allowed_drops:
        check_drop_metric(name, task)
    metrics = [
        _build_metric(name, class_name, arguments, _build_drop_thresholds(name, allowed_drops))
        for name, (class_name, arguments) in METRICS[task].items()
    ]
    bounds = [_build_drop_bound(name, task, allowed) for name, allowed in allowed_drops.items()]
    return _assemble_config(config, label, task, [*_build_row_counts(task, (), min_rows_per_class), *metrics, *bounds])


def add_decision_thresholds(eval_config: config_pb2.EvalConfig, thresholds: Mapping[str, float]) -> None:
    """Tells binary metrics by which thresholds the models decide, which is known when the models are.

    Args:
        eval_config: TFMA's configuration; changed.
        thresholds: Score above which a model decides for the positive class, by the name that TFMA gives the model.
    """
    for metric in (metric for spec in eval_config.metrics_specs for metric in spec.metrics):
        path, settings = f"{metric.module}.{metric.class_name}", json.loads(metric.config or "{}")
        if path in (BINARY, DROP_BOUND):
            settings["thresholds"] = dict(thresholds)
        elif path == SLICE_BOUND and settings["metric"] == BINARY:
            settings["arguments"]["thresholds"] = dict(thresholds)
        metric.config = json.dumps(settings, sort_keys=True) if settings else metric.config


def find_batch_obstacle(eval_config: config_pb2.EvalConfig) -> str:
    """Why an evaluation cannot be computed from batches of rows, as ours are; empty where it can."""
    foreign = {
        metric.class_name
        for spec in eval_config.metrics_specs
        for metric in spec.metrics
        if _find_measured(metric) not in BATCH_METRICS
    }
    checks = (
        (bool(foreign), f"metrics of others: {', '.join(sorted(foreign))}"),
        (bool(eval_config.cross_slicing_specs), "slices are compared with one another"),
        (any(spec.query_key or spec.binarize.class_ids.values for spec in eval_config.metrics_specs), "query keys"),
        (any(spec.slice_keys_sql for spec in eval_config.slicing_specs), "slices by SQL"),
        (any(spec.example_weight_key or spec.model_type != "tf_generic" for spec in eval_config.model_specs), "models"),
        (eval_config.options.compute_confidence_intervals.value, "intervals by TFMA"),
        (eval_config.options.min_slice_size.value > 1, "a least number of rows of a slice"),
    )
    return "; ".join(reason for found, reason in checks if found)


def _find_measured(metric: config_pb2.MetricConfig) -> str:
    """The dotted path of a metric's class; of a bound in slices that of the metric that it bounds."""
    path = f"{metric.module}.{metric.class_name}"
    return str(json.loads(metric.config)["metric"]) if path == SLICE_BOUND else path


def _build_drop_thresholds(name: str, allowed_drops: Mapping[str, float]) -> list[config_pb2.PerSliceMetricThreshold]:
    if name not in allowed_drops:
        return []
    threshold = config_pb2.MetricThreshold(change_threshold=_build_drop_threshold(name, allowed_drops[name]))
    return [config_pb2.PerSliceMetricThreshold(slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold)]


def _build_drop_bound(name: str, task: Task, allowed: float) -> config_pb2.MetricConfig:
    # A limit of 0 leaves room for what another order of sums makes, as that of the difference does.
    threshold = _build_slice_threshold(Threshold(max=max(allowed, 1e-9)), ())
    return _build_metric(name_drop_bound(name), DROP_BOUND, {"metric": name, "task": task}, [threshold])


def _build_row_counts(task: Task, classes: Sequence[str], fewest: int) -> list[config_pb2.MetricConfig]:
    """The rows of each class. Where the class with the fewest has too few, the model is not blessed."""
    bounds = [_build_slice_threshold(Threshold(min=fewest), ())] if fewest else []
    row_counts = [
        _build_metric(name, class_name, arguments, bounds if name == JUDGED_ROWS else [])
        for name, (class_name, arguments) in ROW_COUNTS[task].items()
    ]
    if task == "multiclass" and len(classes) <= MOST_CLASSES:
        class_name = f"{OWN}.ClassMetric"
        for index, name in enumerate(classes):
            row_counts.append(_build_metric(f"rows[{name}]", class_name, {"kind": "rows", "index": index}, []))
    return row_counts


def _build_drop_threshold(main: str, allowed: float) -> config_pb2.GenericChangeThreshold:
    if main in HIGHER_IS_BETTER:
        return _build_change_threshold(Threshold(max_drop=allowed))
    return config_pb2.GenericChangeThreshold(
        direction=config_pb2.MetricDirection.LOWER_IS_BETTER, relative=wrappers_pb2.DoubleValue(value=allowed + 1e-9)
    )


def _select_metrics(
    config: EvaluationConfig, task: Task, classes: Sequence[str]
) -> dict[str, tuple[str, dict[str, object]]]:
    """TFMA's class and its arguments by our name of a metric: the task's, then those of single classes."""
    bounded = {*config.thresholds, *config.slice_thresholds}
    single = {
        name: (f"{OWN}.ClassMetric", {"kind": kind, "index": index})
        for name, (kind, index) in list_class_metrics(task, classes).items()
        if name in bounded or len(classes) <= MOST_CLASSES
    }
    added = {name: found for name in config.metrics if (found := find_added_metric(name, task))}
    return {**METRICS[task], **single, **added}


def _build_bounded_metric(
    name: str, class_name: str, arguments: Mapping[str, object], bound: Threshold | None
) -> list[config_pb2.MetricConfig]:
    """A metric, and what its threshold over all rows is asked of; a metric of others is asked itself."""
    if bound is None:
        return [_build_metric(name, class_name, arguments, [])]
    if class_name not in BATCH_METRICS:
        return [_build_metric(name, class_name, arguments, [_build_slice_threshold(bound, ())])]
    return [_build_metric(name, class_name, arguments, []), _build_row_bound(name, class_name, arguments, bound, ())]


def _build_row_bound(
    name: str, class_name: str, arguments: Mapping[str, object], bound: Threshold, columns: tuple[str, ...]
) -> config_pb2.MetricConfig:
    """What a threshold in slices, or without columns over all rows, is asked of; see `slice_bounds`."""
    # TFMA's plain `threshold` holds in every slice that is computed; ours is meant for those of some columns.
    within = next((end for end in (bound.min, bound.max) if end is not None), 0.0)
    settings = {"metric": class_name, "arguments": dict(arguments), "otherwise": within}
    threshold = _build_slice_threshold(bound, columns)
    return _build_metric(name_slice_bound(name, columns), SLICE_BOUND, settings, [threshold])


def _assemble_config(
    config: EvaluationConfig, label: str, task: Task, metrics: list[config_pb2.MetricConfig]
) -> config_pb2.EvalConfig:
    # No `min_slice_size`: TFMA drops the metrics of a smaller slice, and every threshold then fails in it.
    counts = _build_metric("example_count", f"{OWN}.RowCount", {}, [])
    return config_pb2.EvalConfig(
        model_specs=[
            _build_model_spec(label, task, name=tfma.CANDIDATE_KEY),
            _build_model_spec(label, task, name=tfma.BASELINE_KEY, is_baseline=True),
        ],
        slicing_specs=[config_pb2.SlicingSpec()]
        + [config_pb2.SlicingSpec(feature_keys=list(columns)) for columns in config.slices],
        metrics_specs=[config_pb2.MetricsSpec(metrics=[counts, *metrics])],
    )


def _build_model_spec(label: str, task: Task, **names: Any) -> config_pb2.ModelSpec:
    return config_pb2.ModelSpec(
        model_type="tf_generic",
        signature_name=SERVING_DEFAULT,
        label_key=label,
        prediction_key=score_output(task),
        **names,
    )


def _build_metric(
    name: str, class_name: str, arguments: Mapping[str, object], bounds: list[config_pb2.PerSliceMetricThreshold]
) -> config_pb2.MetricConfig:
    module, _, plain = class_name.rpartition(".")
    return config_pb2.MetricConfig(
        module=module,
        class_name=plain,
        config=json.dumps({"name": name, **arguments}, sort_keys=True),
        per_slice_thresholds=bounds,
    )


def _build_slice_threshold(bound: Threshold, columns: tuple[str, ...]) -> config_pb2.PerSliceMetricThreshold:
    threshold = config_pb2.MetricThreshold(
        value_threshold=_build_value_threshold(bound), change_threshold=_build_change_threshold(bound)
    )
    return config_pb2.PerSliceMetricThreshold(
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=list(columns))], threshold=threshold
    )


def _build_value_threshold(bound: Threshold) -> config_pb2.GenericValueThreshold | None:
    if bound.min is None and bound.max is None:
        return None
    return config_pb2.GenericValueThreshold(
        lower_bound=None if bound.min is None else wrappers_pb2.DoubleValue(value=bound.min),
        upper_bound=None if bound.max is None else wrappers_pb2.DoubleValue(value=bound.max),
    )


def _build_change_threshold(bound: Threshold) -> config_pb2.GenericChangeThreshold | None:
    # TFMA wants the change strictly beyond the bound, so a tolerance of 0 would refuse an equal model.
    if bound.max_drop is not None:
        return config_pb2.GenericChangeThreshold(
            direction=config_pb2.MetricDirection.HIGHER_IS_BETTER,
            absolute=wrappers_pb2.DoubleValue(value=-bound.max_drop - 1e-9),
        )
    if bound.max_rise is not None:
        return config_pb2.GenericChangeThreshold(
            direction=config_pb2.MetricDirection.LOWER_IS_BETTER,
            absolute=wrappers_pb2.DoubleValue(value=bound.max_rise + 1e-9),
        )
    return None
