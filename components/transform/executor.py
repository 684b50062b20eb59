"""Transform's executor: TFX's own, told by the schema which integers are names, and leaving `columns.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow_transform as tft
from tfx.components.transform import executor as tfx_executor
from tfx.types import Artifact, artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.artifacts import ROWS_PREFIX, counted_rows
from components.transform import preprocessing
from components.transform.columns import COLUMNS_FILE


class Executor(tfx_executor.Executor):
    """Runs TFX's Transform with what only the schema artifact knows added to `custom_config`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        schema_dir = artifact_utils.get_single_uri(input_dict[standard_component_specs.SCHEMA_KEY])
        custom_config = json.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        custom_config["schema_categorical"] = _categorical_integers(schema_dir)
        exec_properties = {
            **exec_properties,
            standard_component_specs.CUSTOM_CONFIG_KEY: json.dumps(custom_config, sort_keys=True),
        }
        super().Do(input_dict, output_dict, exec_properties)
        for transformed in output_dict.get(standard_component_specs.TRANSFORMED_EXAMPLES_KEY, ()):
            for split, rows in counted_rows(input_dict[standard_component_specs.EXAMPLES_KEY]).items():
                transformed.set_int_custom_property(f"{ROWS_PREFIX}{split}", rows)
        if custom_config["built_in"]:
            graph = artifact_utils.get_single_uri(output_dict[standard_component_specs.TRANSFORM_GRAPH_KEY])
            _write_columns(graph, custom_config)


def _categorical_integers(schema_dir: str) -> list[str]:
    schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_dir))
    return sorted(feature.name for feature in schema.feature if feature.int_domain.is_categorical)


def _write_columns(graph: str, custom_config: dict[str, Any]) -> None:
    """Names the raw column behind each position of the wide features, for people and for error messages."""
    raw = tft.TFTransformOutput(graph).raw_feature_spec()
    columns = preprocessing.columns_of(raw, custom_config)
    Path(graph, COLUMNS_FILE).write_text(json.dumps(columns.to_json(), indent=2, ensure_ascii=False))
