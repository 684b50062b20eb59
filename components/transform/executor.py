"""Transform's executor: TFT analyzes, then files are transformed one by one; `columns.json` is written beside.

TFX's own executor passes rows through Beam in small batches, and encodes and writes them one by one; artifacts, graph
and rows are the same (`docs/decisions/0029-transform-and-evaluator-by-files.md`).
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.transform import executor as tfx_executor
from tfx.components.transform.executor_utils import ResolveSplitsConfig
from tfx.components.util import tfxio_utils
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2, transform_pb2
from tfx.types import Artifact, artifact_utils
from tfx.types import standard_component_specs as keys
from tfx.utils import io_utils

from taxiway.components.artifacts import ROWS_PREFIX, read_row_counts
from taxiway.components.beam.shards import list_files
from taxiway.components.contract import COLUMNS_FILE, EVAL_SPLIT, TRAIN_SPLIT
from taxiway.components.tfx_artifacts import read_class_rows, write_class_rows
from taxiway.components.transform import preprocessing
from taxiway.components.transform.analysis import analyze_rows, list_used_columns
from taxiway.components.transform.apply import transform_files
from taxiway.components.transform.raw_batches import make_row_format
from taxiway.components.user_functions import import_function

LOG = logging.getLogger(__name__)
_TEMPORARY = ".temp_path"

TRANSFORMED = (TRAIN_SPLIT, EVAL_SPLIT)
"""The splits that training reads; `train` alone is analyzed."""


class Executor(tfx_executor.Executor):
    """Analyzes and transforms the splits of `splits_config`. Rows that are no `tf.Example`s go to TFX's executor."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        schema = _read_schema(input_dict)
        custom_config = json.loads(exec_properties[keys.CUSTOM_CONFIG_KEY])
        custom_config["schema_categorical"] = _list_categorical_integers(schema)
        exec_properties = {
            **exec_properties,
            keys.CUSTOM_CONFIG_KEY: json.dumps(custom_config, sort_keys=True),
        }
        if _are_examples(input_dict[keys.EXAMPLES_KEY]):
            self._log_startup(input_dict, output_dict, exec_properties)
            function = _bind_function(exec_properties[keys.PREPROCESSING_FN_KEY], custom_config)
            columns = _list_columns(function, custom_config, schema)
            splits = ResolveSplitsConfig(exec_properties.get(keys.SPLITS_CONFIG_KEY), input_dict[keys.EXAMPLES_KEY])
            self._transform_examples(input_dict, output_dict, function, schema, columns, splits)
        else:
            LOG.info("The examples are no serialized tf.Examples: TFX's executor transforms them.")
            super().Do(input_dict, output_dict, exec_properties)
        for transformed in output_dict.get(keys.TRANSFORMED_EXAMPLES_KEY, ()):
            for split, rows in read_row_counts(input_dict[keys.EXAMPLES_KEY], TRANSFORMED).items():
                transformed.set_int_custom_property(f"{ROWS_PREFIX}{split}", rows)
            if custom_config["built_in"]:  # a user's function may make another label
                write_class_rows(transformed, read_class_rows(input_dict[keys.EXAMPLES_KEY]))
        if custom_config["built_in"]:
            graph = artifact_utils.get_single_uri(output_dict[keys.TRANSFORM_GRAPH_KEY])
            _write_columns(graph, custom_config)

    def _transform_examples(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        function: Callable[..., Any],
        schema: schema_pb2.Schema,
        columns: list[str],
        splits: transform_pb2.SplitsConfig,
    ) -> None:
        examples, transformed = input_dict[keys.EXAMPLES_KEY], output_dict.get(keys.TRANSFORMED_EXAMPLES_KEY, [])
        graph = artifact_utils.get_single_uri(output_dict[keys.TRANSFORM_GRAPH_KEY])
        temporary = f"{graph}/{_TEMPORARY}"
        analyzed = [
            io_utils.all_files_pattern(uri)
            for split in splits.analyze
            for uri in artifact_utils.get_split_uris(examples, split)
        ]
        with self._make_beam_pipeline() as pipeline:
            analyze_rows(pipeline, analyzed, function, schema, columns, graph, temporary)
        if fileio.exists(temporary):
            fileio.rmtree(temporary)
        outputs = _plan_outputs(examples, transformed, list(splits.transform))
        with self._make_beam_pipeline() as pipeline:
            transform_files(pipeline, outputs, graph, schema, columns)


def _read_schema(input_dict: dict[str, list[Artifact]]) -> schema_pb2.Schema:
    folder = artifact_utils.get_single_uri(input_dict[keys.SCHEMA_KEY])
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(folder))


def _are_examples(examples: list[Artifact]) -> bool:
    """Whether the rows are serialized `tf.Example`s without a view that decodes others."""
    payload, view = tfxio_utils.resolve_payload_format_and_data_view_uri(examples)
    return payload == example_gen_pb2.FORMAT_TF_EXAMPLE and view is None


def _bind_function(path: str, custom_config: dict[str, Any]) -> Callable[..., Any]:
    function = import_function(path, "preprocessing.function")
    if "custom_config" in inspect.signature(function).parameters:
        return functools.partial(function, custom_config=custom_config)
    return function


def _list_columns(function: Callable[..., Any], custom_config: dict[str, Any], schema: schema_pb2.Schema) -> list[str]:
    """The raw columns that the function uses. Of the built-in one they are known without tracing it."""
    if not custom_config["built_in"]:
        return list_used_columns(function, schema)
    type_specs = make_row_format(schema).TensorAdapter().OriginalTypeSpecs()
    return preprocessing.classify_columns(type_specs, custom_config).used


def _plan_outputs(examples: list[Artifact], transformed: list[Artifact], splits: list[str]) -> dict[str, str]:
    """The file to write by the file to read, numbered in each split as Beam's writers do."""
    planned = {}
    for raw, artifact in zip(examples, transformed, strict=False):
        names = [name for name in artifact_utils.decode_split_names(raw.split_names) if name in splits]
        artifact.split_names = artifact_utils.encode_split_names(names)
        for split in names:
            files = list_files([io_utils.all_files_pattern(artifact_utils.get_split_uri([raw], split))])
            folder = artifact_utils.get_split_uri([artifact], split)
            for number, path in enumerate(files):
                planned[path] = f"{folder}/transformed_examples-{number:05d}-of-{len(files):05d}.gz"
    return planned


def _list_categorical_integers(schema: schema_pb2.Schema) -> list[str]:
    return sorted(feature.name for feature in schema.feature if feature.int_domain.is_categorical)


def _write_columns(graph: str, custom_config: dict[str, Any]) -> None:
    """Names the raw column behind each position of the wide features, for people and for error messages."""
    raw = tft.TFTransformOutput(graph).raw_feature_spec()
    content = preprocessing.describe_features(raw, custom_config)
    Path(graph, COLUMNS_FILE).write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
