"""The gate before Transform: the verdict on the data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from taxiway.components import artifacts
from taxiway.components.component_arguments import check_task, make_absolute, parse_section
from taxiway.components.contract import Task
from taxiway.components.errors import ConfigError
from taxiway.components.gates.config import GatesConfig
from taxiway.components.gates.driver import ReferenceDriver
from taxiway.components.gates.executor import DataGateExecutor


class DataGateSpec(component_spec.ComponentSpec):
    """In: anomalies and statistics. Out: the verdict."""

    PARAMETERS = {
        "label": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "statistics_directory": component_spec.ExecutionParameter(type=str),
        "serving_directory": component_spec.ExecutionParameter(type=str),
        "left_out": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"verdict": component_spec.ChannelParameter(type=artifacts.Verdict)}


class DataGate(base_component.BaseComponent):
    """Judges the data before anything is computed from it."""

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DataGateExecutor)
    DRIVER_CLASS = ReferenceDriver

    def __init__(
        self,
        *,
        statistics: types.BaseChannel,
        anomalies: types.BaseChannel,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        label: str,
        task: Task,
        statistics_directory: str | Path,
        serving_directory: str | Path = "",
        config: GatesConfig | Mapping[str, Any] | None = None,
        left_out: Sequence[str] = (),
    ) -> None:
        """Args:
        statistics: TFDV's statistics of the splits.
        anomalies: ExampleValidator's anomalies of the same splits.
        examples: The examples themselves, for the order of their classes.
        schema: The curated schema, which fixes that order.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        statistics_directory: Folder where the training statistics of data that passed are kept, for later runs.
        serving_directory: The model's own folder, as the Pusher's; for a comparison with the live model's data. It need
            not exist.
        config: Limits of the gate.
        left_out: Columns that the model does not see.

        Raises:
            ConfigError: a key or a value is wrong, or a comparison with the live model has no `serving_directory`.
        """
        settings = parse_section(GatesConfig, config, "config")
        if "live" in (settings.drift.against, settings.skew.against) and not str(serving_directory):
            raise ConfigError(
                "The gate is to compare with the live model's data, and has no serving_directory.",
                "Pass the Pusher's serving_directory, or set drift.against and skew.against to none.",
            )
        verdict = types.Channel(type=artifacts.Verdict)
        spec = DataGateSpec(
            statistics=statistics,
            anomalies=anomalies,
            examples=examples,
            schema=schema,
            label=label,
            task=check_task(task),
            config=settings.model_dump_json(),
            statistics_directory=make_absolute(statistics_directory),
            serving_directory=make_absolute(serving_directory),
            left_out=json.dumps(sorted(left_out), ensure_ascii=False),
            verdict=verdict,
        )
        super().__init__(spec)
