"""TabularExampleGen: files of rows in, standard `Examples` out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from taxiway.components.component_arguments import parse_section
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.driver import FingerprintDriver
from taxiway.components.example_gen.executor import TabularExampleGenExecutor


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

    The `Examples` artifact has the splits `train`, `eval` and, where there are rows enough, `test` in gzipped TFRecord
    files, and custom properties `span`, `input_fingerprint` (of the content), `classes`, `kinds`, `notes`, `class_rows`
    (JSON) and `rows_*` (counts). Beside its splits are a columnar copy of each file (`Columns-*/`), `ingest.json`,
    `reading_rules.json` (which a pushed version carries) and, if rows were bad, `bad_rows.jsonl`.
    """

    SPEC_CLASS = TabularExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(TabularExampleGenExecutor)
    DRIVER_CLASS = FingerprintDriver

    def __init__(
        self,
        *,
        data: DataConfig | Mapping[str, Any],
        label: LabelConfig | Mapping[str, Any],
        column_rules: Mapping[str, Any] | None = None,
    ) -> None:
        """Args:
        data: What is read, and how; a relative path is taken from the working directory.
        label: What is predicted.
        column_rules: What the curated schema says of how columns are read
            (`taxiway.components.schema.curated.derive_reading_rules`).

        Raises:
            ConfigError: a key or a value is wrong.
        """
        settings = parse_section(DataConfig, data, "data").resolve_path(Path.cwd())
        spec = TabularExampleGenSpec(
            data=settings.model_dump_json(),
            label=parse_section(LabelConfig, label, "label").model_dump_json(),
            schema=json.dumps(column_rules, sort_keys=True, ensure_ascii=False) if column_rules else "",
            examples=types.Channel(type=standard_artifacts.Examples),
        )
        super().__init__(spec)
