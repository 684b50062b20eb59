"""The gates before Transform: the curated schema, and the verdict on the data."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components import artifacts
from components.gates.driver import ReferenceDriver
from components.gates.executor import DataGateExecutor, SchemaExecutor


class CuratedSchemaSpec(component_spec.ComponentSpec):
    """In: statistics. Out: schema."""

    PARAMETERS = {
        "edited": component_spec.ExecutionParameter(type=str),
        "path": component_spec.ExecutionParameter(type=str),
        "configuration": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class CuratedSchema(base_component.BaseComponent):
    """The schema that a user has curated; in the first run, the inferred one."""

    SPEC_CLASS = CuratedSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(SchemaExecutor)

    def __init__(
        self,
        *,
        statistics: types.BaseChannel,
        examples: types.BaseChannel,
        label: str,
        path: str = "",
        edited: str = "",
        configuration: str = "",
    ) -> None:
        """Args:
        statistics: TFDV's statistics of the splits, from which the first run infers.
        examples: Whose custom property `classes` has the order of the classes, which the schema fixes.
        label: The label's column.
        path: The file beside the configuration; empty where the run cannot see it.
        edited: The file's text where a person has edited it (`schema.edited_content`).
        configuration: Name of the configuration's file, which an inferred schema keeps.
        """
        schema = types.Channel(type=standard_artifacts.Schema)
        spec = CuratedSchemaSpec(
            statistics=statistics,
            examples=examples,
            label=label,
            path=path,
            edited=edited,
            configuration=configuration,
            schema=schema,
        )
        super().__init__(spec)


class DataGateSpec(component_spec.ComponentSpec):
    """In: anomalies and statistics. Out: the verdict."""

    PARAMETERS = {
        "label": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "kept": component_spec.ExecutionParameter(type=str),
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
        task: str,
        config: str,
        kept: str,
        serving_directory: str,
        left_out: Sequence[str] = (),
    ) -> None:
        """Args:
        statistics: TFDV's statistics of the splits.
        anomalies: ExampleValidator's anomalies of the same splits.
        examples: The examples themselves, for the order of their classes.
        schema: The curated schema, which fixes that order.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        config: `GatesConfig` as JSON.
        kept: Folder of the training statistics of data that passed; see `components.gates.kept`. Absolute.
        serving_directory: The model's own folder, `<root>/serving/<model>`; absolute. It need not exist.
        left_out: Columns that the model does not see.
        """
        verdict = types.Channel(type=artifacts.Verdict)
        spec = DataGateSpec(
            statistics=statistics,
            anomalies=anomalies,
            examples=examples,
            schema=schema,
            label=label,
            task=task,
            config=config,
            kept=kept,
            serving_directory=serving_directory,
            left_out=json.dumps(sorted(left_out), ensure_ascii=False),
            verdict=verdict,
        )
        super().__init__(spec)
