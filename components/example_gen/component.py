"""TabularExampleGen: files of rows in, standard `Examples` out."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.example_gen.driver import FingerprintDriver
from components.example_gen.executor import TabularExampleGenExecutor


class TabularExampleGenSpec(component_spec.ComponentSpec):
    """Parameters: the sections `data` and `label`, and what the curated schema says, as JSON. Out: examples."""

    PARAMETERS = {
        "data": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "schema": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class TabularExampleGen(base_beam_component.BaseBeamComponent):
    """Reads csv, Parquet, JSON lines or TFRecord; labels, splits and writes `tf.Example`s.

    The `Examples` artifact has the splits `train` and `eval` in gzipped TFRecord files, custom properties `span`,
    `input_fingerprint` (of the content), `classes`, `kinds` and `notes` (JSON) and `rows_*` (counts), and beside its
    splits `ingest.json`, `reading_rules.json` (which a pushed version carries) and, if rows were bad, `bad_rows.jsonl`.
    """

    SPEC_CLASS = TabularExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(TabularExampleGenExecutor)
    DRIVER_CLASS = FingerprintDriver

    def __init__(self, *, data: str, label: str, schema: str = "") -> None:
        """Args:
        data: `DataConfig.model_dump_json()`, its path absolute or `package://`.
        label: `LabelConfig.model_dump_json()`.
        schema: How the columns of a curated schema are read, `gates.schema.reading_rules`; empty where there is none.
        """
        examples = types.Channel(type=standard_artifacts.Examples)
        super().__init__(TabularExampleGenSpec(data=data, label=label, schema=schema, examples=examples))
