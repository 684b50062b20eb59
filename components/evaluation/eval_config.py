"""From the configuration to TFMA's EvalConfig, for both Evaluators."""

from __future__ import annotations

import json
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2

from components.contract import SERVING_DEFAULT, Task, score_output
from components.evaluation.config import HIGHER_IS_BETTER, METRICS, EvaluationConfig, SliceThreshold, Threshold


def eval_config(config: EvaluationConfig, label: str, task: Task) -> tfma.EvalConfig:
    """TFMA's configuration of the first Evaluator: candidate against the baseline, all thresholds.

    Both models are called through `serving_default`, as TensorFlow Serving will call them, so what is evaluated is what
    is served: the transform graph included.
    """
    config.check_metrics(task)
    metrics = [
        _metric(name, task, config.thresholds.get(name), config.slice_thresholds.get(name, ()))
        for name in METRICS[task]
    ]
    return _assemble(config, label, task, metrics)


def optimized_eval_config(config: EvaluationConfig, label: str, task: Task, max_quality_drop: float) -> tfma.EvalConfig:
    """The second Evaluator's: the optimized model may lose `max_quality_drop` in the main metric, and nothing else."""
    main = config.main(task)
    bound = Threshold(max_drop=max_quality_drop) if main in HIGHER_IS_BETTER else Threshold(max_rise=max_quality_drop)
    metrics = [_metric(name, task, bound if name == main else None, ()) for name in METRICS[task]]
    return _assemble(config, label, task, metrics)


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


def _metric(name: str, task: Task, bound: Threshold | None, slices: tuple[SliceThreshold, ...]) -> tfma.MetricConfig:
    class_name, arguments = METRICS[task][name]
    # TFMA's plain `threshold` holds in every slice that is computed; ours is meant for all rows together.
    bounds = [_per_slice(name, bound, ())] if bound else []
    return tfma.MetricConfig(
        class_name=class_name,
        config=json.dumps({"name": name, **arguments}, sort_keys=True),
        per_slice_thresholds=bounds + [_per_slice(name, bound, bound.columns) for bound in slices],
    )


def _per_slice(name: str, bound: Threshold, columns: tuple[str, ...]) -> tfma.PerSliceMetricThreshold:
    return tfma.PerSliceMetricThreshold(
        slicing_specs=[tfma.SlicingSpec(feature_keys=list(columns))], threshold=_threshold(name, bound)
    )


def _threshold(name: str, bound: Threshold) -> tfma.MetricThreshold:
    return tfma.MetricThreshold(
        value_threshold=_value_threshold(bound), change_threshold=_change_threshold(name, bound)
    )


def _value_threshold(bound: Threshold) -> tfma.GenericValueThreshold | None:
    if bound.min is None and bound.max is None:
        return None
    return tfma.GenericValueThreshold(
        lower_bound=None if bound.min is None else wrappers_pb2.DoubleValue(value=bound.min),
        upper_bound=None if bound.max is None else wrappers_pb2.DoubleValue(value=bound.max),
    )


def _change_threshold(name: str, bound: Threshold) -> tfma.GenericChangeThreshold | None:
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
