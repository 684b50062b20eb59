"""The ModelExplainer component."""

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
from taxiway.components.explanation.config import ExplanationConfig
from taxiway.components.explanation.executor import ModelExplainerExecutor


class ModelExplainerSpec(component_spec.ComponentSpec):
    """What flows in and out."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str)
        for name in ("config", "label", "task", "metric", "classes", "calendar", "split")
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"explanation": component_spec.ChannelParameter(type=artifacts.ModelExplanation)}


class ModelExplainer(base_component.BaseComponent):
    """Says what a model's answers rest on: permutation importance, partial dependence, the rows of the largest errors.

    The model is any with our signature `serving_default`; it is asked with raw columns. What cannot be explained is
    told by the artifact and fails no run.
    """

    SPEC_CLASS = ModelExplainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ModelExplainerExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        label: str,
        task: Task,
        metric: str = "",
        classes: Sequence[str] = (),
        calendar: Mapping[str, Sequence[str]] | None = None,
        config: ExplanationConfig | Mapping[str, Any] | None = None,
        split: str = "",
    ) -> None:
        """Args:
        model: The model.
        examples: Raw examples.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        metric: The metric whose loss is the importance; empty: `auc`, `accuracy` or `rmse` by the task.
        classes: Names of the classes in the order of the scores.
        calendar: By the name of a time column: its parts as columns, which are shuffled together.
        config: What is explained, and how much of it.
        split: Split of the examples that is asked; empty: `test`, or `eval` of examples that have no `test`.
        """
        settings = parse_section(ExplanationConfig, config, "config")
        spec = ModelExplainerSpec(
            model=model,
            examples=examples,
            label=label,
            task=check_task(task),
            metric=metric or MAIN_METRIC[check_task(task)],
            classes=json.dumps(list(classes)),
            calendar=json.dumps({name: list(parts) for name, parts in (calendar or {}).items()}),
            config=settings.model_dump_json(),
            split=split,
            explanation=types.Channel(type=artifacts.ModelExplanation),
        )
        super().__init__(spec=spec)
