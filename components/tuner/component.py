"""The Tuner component: a search for settings, whose best the Trainer takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from taxiway.components.component_arguments import check_task, make_absolute, parse_section
from taxiway.components.contract import Task
from taxiway.components.training import ModelConfig, TrainingConfig
from taxiway.components.training.tfx_arguments import build_custom_config, parse_sections
from taxiway.components.tuner.config import TuningConfig
from taxiway.components.tuner.executor import Executor


class TunerSpec(component_spec.ComponentSpec):
    """What flows in and out."""

    PARAMETERS = {
        "custom_config": component_spec.ExecutionParameter(type=str),
        "tuning": component_spec.ExecutionParameter(type=str),
        "storage_root": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {
        "best_hyperparameters": component_spec.ChannelParameter(type=standard_artifacts.HyperParameters),
        "tuner_results": component_spec.ChannelParameter(type=standard_artifacts.TunerResults),
    }


class Tuner(base_component.BaseComponent):
    """Tries settings of the model and its training, trial by trial, on the splits `train` and `eval`.

    Out: `best_hyperparameters`, the best trial's settings by dotted name, as keras_tuner writes them; `tuner_results`,
    all trials. The outputs have the names and types of TFX's own Tuner.
    """

    SPEC_CLASS = TunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        label: str,
        task: Task,
        classes: Sequence[str] = (),
        left_out: Sequence[str] = (),
        model: ModelConfig | Mapping[str, Any] | None = None,
        training: TrainingConfig | Mapping[str, Any] | None = None,
        tuning: TuningConfig | Mapping[str, Any] | None = None,
        storage_root: str | Path = "",
    ) -> None:
        """Args:
        examples: Transform's output; only the splits `train` and `eval` are read.
        transform_graph: Transform's.
        schema: The curated schema, which fixes the order of the classes.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        classes: Names of the classes in the order of their indices, where the schema has none.
        left_out: Raw columns that are no features.
        model: The first trial's settings of the model.
        training: Those of its training, likewise.
        tuning: Space of the settings and number of trials.
        storage_root: Folder of all searches' trials; empty: after a kill the search starts from the beginning.

        Raises:
            ConfigError: a key or a value is wrong, or the space names what is no setting.
        """
        settings = parse_section(TuningConfig, tuning, "tuning")
        built, trained = parse_sections(model, training)
        settings.check_space(built, trained)
        custom_config = build_custom_config(label, check_task(task), classes, left_out, built, trained)
        super().__init__(
            TunerSpec(
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                custom_config=json.dumps(custom_config, sort_keys=True),
                tuning=settings.model_dump_json(),
                storage_root=make_absolute(storage_root),
                best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
                tuner_results=types.Channel(type=standard_artifacts.TunerResults),
            )
        )
