"""The curated schema as a component: the file beside the configuration; in the first run, the inferred one."""

from __future__ import annotations

from pathlib import Path

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from taxiway.components.component_arguments import make_absolute
from taxiway.components.schema.curated import read_edited_text
from taxiway.components.schema.executor import SchemaExecutor


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
        path: str | Path = "",
        configuration: str = "",
    ) -> None:
        """Args:
        statistics: TFDV's statistics of the splits, from which the first run infers.
        examples: Whose custom property `classes` has the order of the classes, which the schema fixes.
        label: The label's column.
        path: The curated file: what it says when the pipeline is built counts, and the first run writes it. Empty: the
            inferred schema is used and kept nowhere.
        configuration: Name of the configuration's file, which an inferred schema keeps.
        """
        edited = read_edited_text(Path(path)) if str(path) else ""
        schema = types.Channel(type=standard_artifacts.Schema)
        spec = CuratedSchemaSpec(
            statistics=statistics,
            examples=examples,
            label=label,
            path=make_absolute(path),
            edited=edited,
            configuration=configuration,
            schema=schema,
        )
        super().__init__(spec)
