"""From the configuration to TFMA's EvalConfig, for both Evaluators."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2

from components.contract import HIGHER_IS_BETTER, SERVING_DEFAULT, Task, score_output
from components.evaluation.config import (
    JUDGED_ROWS,
    METRICS,
    MOST_CLASSES,
    OWN,
    ROW_COUNTS,
    EvaluationConfig,
    Threshold,
    class_metrics,
)


def eval_config(
    config: EvaluationConfig, label: str, task: Task, classes: Sequence[str] = (), min_rows_per_class: int = 0
) -> tfma.EvalConfig:
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
    metrics = [
        _metric(name, class_name, arguments, _bounds(config, name))
        for name, (class_name, arguments) in _chosen(config, task, classes).items()
    ]
    rows = _row_counts(task, classes, min_rows_per_class if bounded else 0)
    return _assemble(config, label, task, [*rows, *metrics])


def optimized_eval_config(
    config: EvaluationConfig,
    label: str,
    task: Task,
    allowed_drops: Mapping[str, float],
    min_rows_per_class: int = 0,
) -> tfma.EvalConfig:
    """The second Evaluator's: how much worse than the trained model the optimized one may be.

    Args:
        config: Slices.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        allowed_drops: By metric, as the optimizer means it: a difference where more is better, a share of the value for
            losses and errors.
        min_rows_per_class: As in `eval_config`.
    """
    metrics = [
        _metric(name, class_name, arguments, _dropping(name, allowed_drops))
        for name, (class_name, arguments) in METRICS[task].items()
    ]
    return _assemble(config, label, task, [*_row_counts(task, (), min_rows_per_class), *metrics])


def _dropping(name: str, allowed_drops: Mapping[str, float]) -> list[tfma.PerSliceMetricThreshold]:
    if name not in allowed_drops:
        return []
    threshold = tfma.MetricThreshold(change_threshold=_quality_drop(name, allowed_drops[name]))
    return [tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)]


def _row_counts(task: Task, classes: Sequence[str], fewest: int) -> list[tfma.MetricConfig]:
    """The rows of each class. Where the class with the fewest has too few, the model is not blessed."""
    bounds = [_per_slice(Threshold(min=fewest), ())] if fewest else []
    made = [
        _metric(name, class_name, arguments, bounds if name == JUDGED_ROWS else [])
        for name, (class_name, arguments) in ROW_COUNTS[task].items()
    ]
    if task == "multiclass" and len(classes) <= MOST_CLASSES:
        class_name = f"{OWN}.ClassMetric"
        for index, name in enumerate(classes):
            made.append(_metric(f"rows[{name}]", class_name, {"kind": "rows", "index": index}, []))
    return made


def _quality_drop(main: str, allowed: float) -> tfma.GenericChangeThreshold:
    if main in HIGHER_IS_BETTER:
        return _change_threshold(Threshold(max_drop=allowed))
    return tfma.GenericChangeThreshold(
        direction=tfma.MetricDirection.LOWER_IS_BETTER, relative=wrappers_pb2.DoubleValue(value=allowed + 1e-9)
    )


def _chosen(config: EvaluationConfig, task: Task, classes: Sequence[str]) -> dict[str, tuple[str, dict[str, object]]]:
    """TFMA's class and its arguments by our name of a metric: the task's, then those of single classes."""
    bounded = {*config.thresholds, *config.slice_thresholds}
    single = {
        name: (f"{OWN}.ClassMetric", {"kind": kind, "index": index})
        for name, (kind, index) in class_metrics(task, classes).items()
        if name in bounded or len(classes) <= MOST_CLASSES
    }
    return {**METRICS[task], **single}


def _bounds(config: EvaluationConfig, name: str) -> list[tfma.PerSliceMetricThreshold]:
    # TFMA's plain `threshold` holds in every slice that is computed; ours is meant for all rows together.
    bound = config.thresholds.get(name)
    bounds = [_per_slice(bound, ())] if bound else []
    return bounds + [_per_slice(each, each.columns) for each in config.slice_thresholds.get(name, ())]


def _assemble(config: EvaluationConfig, label: str, task: Task, metrics: list[tfma.MetricConfig]) -> tfma.EvalConfig:
    # No `min_slice_size`: TFMA drops the metrics of a smaller slice, and every threshold then fails in it.
    counts = tfma.MetricConfig(class_name="ExampleCount", config=json.dumps({"name": "example_count"}))
    return tfma.EvalConfig(
        model_specs=[
            _model(label, task, name=tfma.CANDIDATE_KEY),
            _model(label, task, name=tfma.BASELINE_KEY, is_baseline=True),
        ],
        slicing_specs=[tfma.SlicingSpec()]
        + [tfma.SlicingSpec(feature_keys=list(columns)) for columns in config.slices],
        metrics_specs=[tfma.MetricsSpec(metrics=[counts, *metrics])],
    )


def _model(label: str, task: Task, **names: Any) -> tfma.ModelSpec:
    return tfma.ModelSpec(
        model_type="tf_generic",
        signature_name=SERVING_DEFAULT,
        label_key=label,
        prediction_key=score_output(task),
        **names,
    )


def _metric(
    name: str, class_name: str, arguments: Mapping[str, object], bounds: list[tfma.PerSliceMetricThreshold]
) -> tfma.MetricConfig:
    module, _, plain = class_name.rpartition(".")
    return tfma.MetricConfig(
        module=module,
        class_name=plain,
        config=json.dumps({"name": name, **arguments}, sort_keys=True),
        per_slice_thresholds=bounds,
    )


def _per_slice(bound: Threshold, columns: tuple[str, ...]) -> tfma.PerSliceMetricThreshold:
    threshold = tfma.MetricThreshold(value_threshold=_value_threshold(bound), change_threshold=_change_threshold(bound))
    return tfma.PerSliceMetricThreshold(
        slicing_specs=[tfma.SlicingSpec(feature_keys=list(columns))], threshold=threshold
    )


def _value_threshold(bound: Threshold) -> tfma.GenericValueThreshold | None:
    if bound.min is None and bound.max is None:
        return None
    return tfma.GenericValueThreshold(
        lower_bound=None if bound.min is None else wrappers_pb2.DoubleValue(value=bound.min),
        upper_bound=None if bound.max is None else wrappers_pb2.DoubleValue(value=bound.max),
    )


def _change_threshold(bound: Threshold) -> tfma.GenericChangeThreshold | None:
    # TFMA wants the change strictly beyond the bound, so a tolerance of 0 would refuse an equal model.
    if bound.max_drop is not None:
        return tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER,
            absolute=wrappers_pb2.DoubleValue(value=-bound.max_drop - 1e-9),
        )
    if bound.max_rise is not None:
        return tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.LOWER_IS_BETTER,
            absolute=wrappers_pb2.DoubleValue(value=bound.max_rise + 1e-9),
        )
    return None
