"""The ModelOptimizer component."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from taxiway.components import artifacts
from taxiway.components.component_arguments import check_task, parse_section
from taxiway.components.contract import MAIN_METRIC, Task
from taxiway.components.metrics.quality_change import check_metric
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.executor import Executor


class ModelOptimizerSpec(component_spec.ComponentSpec):
    """What flows in and out."""

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "metric": component_spec.ExecutionParameter(type=str),
        "prediction_output": component_spec.ExecutionParameter(type=str, optional=True),
        "slices": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "trained_model": component_spec.ChannelParameter(type=standard_artifacts.Model),  # `model` is the output
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "transformed_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
    }
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "report": component_spec.ChannelParameter(type=artifacts.OptimizationReport),
        "exports": component_spec.ChannelParameter(type=artifacts.ExportedModel, optional=True),
    }


class ModelOptimizer(base_component.BaseComponent):
    """Makes variants of the trained model, measures them, and hands on the one that the configuration asks for.

    Out: `model`, the chosen variant, pushable, laid out like the trainer's; `report`, what was tried, measured and
    chosen. Both carry the custom property `chosen`. With `exports` in the configuration also `exports`: one artifact
    with a folder for each variant named there, and the custom property `runtime`.
    """

    SPEC_CLASS = ModelOptimizerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        label: str,
        task: Task,
        transform_graph: types.BaseChannel | None = None,
        transformed_examples: types.BaseChannel | None = None,
        config: OptimizationConfig | Mapping[str, Any] | None = None,
        metric: str = "",
        prediction_output: str = "",
        slices: Sequence[Sequence[str]] = (),
        blessing: types.BaseChannel | None = None,
    ) -> None:
        """Args:
        model: The trained model, of this package's Trainer or of any other: a SavedModel whose `serving_default` takes
            serialized examples.
        examples: Raw examples; quality is measured on their split `eval`.
        schema: The curated schema of the raw examples.
        label: The label: a column of the raw examples, or a feature that the transform graph makes of them.
        task: `binary`, `multiclass` or `regression`.
        transform_graph: Transform's graph, where there is one.
        transformed_examples: Transformed examples; structural variants are fine-tuned on their split `train`.
        config: Variants, objective, constraints and budget.
        metric: The main metric, which must be kept; empty: `auc`, `accuracy` or `rmse` by the task.
        prediction_output: Output of `serving_default` with the scores: probabilities or logits of a classifier, values
            of a regression. Empty: `probabilities`, `predictions`, or the only output of numbers.
        slices: Columns, or combinations of columns, whose values are judged apart.
        blessing: The evaluator's; without a blessing in it nothing is tried and the trained model goes on.

        Raises:
            ConfigError: a key or a value is wrong, or names what there is not.
        """
        settings = parse_section(OptimizationConfig, config, "config")
        metric = metric or MAIN_METRIC[check_task(task)]
        check_metric(metric, check_task(task))
        super().__init__(
            ModelOptimizerSpec(
                trained_model=model,
                transform_graph=transform_graph,
                transformed_examples=transformed_examples,
                examples=examples,
                schema=schema,
                blessing=blessing,
                config=settings.model_dump_json(),
                task=task,
                label=label,
                metric=metric,
                prediction_output=prediction_output,
                slices=json.dumps([list(columns) for columns in slices]),
                model=types.Channel(type=standard_artifacts.Model),
                report=types.Channel(type=artifacts.OptimizationReport),
                exports=types.Channel(type=artifacts.ExportedModel) if settings.exports else None,
            )
        )
