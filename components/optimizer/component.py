"""The ModelOptimizer component."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components import artifacts
from components.contract import MAIN_METRIC
from components.optimizer.config import OptimizationConfig
from components.optimizer.executor import Executor
from components.optimizer.quality import check_metric


class ModelOptimizerSpec(component_spec.ComponentSpec):
    """What flows in and out."""

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "metric": component_spec.ExecutionParameter(type=str),
        "slices": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "trained_model": component_spec.ChannelParameter(type=standard_artifacts.Model),  # `model` is the output
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "transformed_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
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
        transform_graph: types.BaseChannel,
        transformed_examples: types.BaseChannel,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        label: str,
        task: str,
        config: str = "{}",
        metric: str = "",
        slices: Sequence[Sequence[str]] = (),
        blessing: types.BaseChannel | None = None,
    ) -> None:
        """Args:
        model: The trainer's model.
        transform_graph: Transform's graph.
        transformed_examples: Transformed examples; structural variants are fine-tuned on their split `train`.
        examples: Raw examples; quality is measured on their split `eval`.
        schema: The curated schema of the raw examples.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        config: `OptimizationConfig` as JSON.
        metric: The main metric, which must be kept; empty: `auc`, `accuracy` or `rmse` by the task.
        slices: Columns, or combinations of columns, whose values are judged apart.
        blessing: The evaluator's; without a blessing in it nothing is tried and the trained model goes on.

        Raises:
            ConfigError: the configuration names what there is not.
        """
        settings = OptimizationConfig.model_validate_json(config)
        metric = metric or MAIN_METRIC[task]  # type: ignore[index]
        check_metric(metric)
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
                slices=json.dumps([list(columns) for columns in slices]),
                model=types.Channel(type=standard_artifacts.Model),
                report=types.Channel(type=artifacts.OptimizationReport),
                exports=types.Channel(type=artifacts.ExportedModel) if settings.exports else None,
            )
        )
