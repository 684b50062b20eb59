"""StatisticsGen's executor: TFDV's statistics over the columnar copy of the examples, or over an engine's workers."""

from __future__ import annotations

import json
import logging
from typing import Any

import apache_beam as beam
import tensorflow_data_validation as tfdv
from tensorflow.io import gfile
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import executor as tfx_executor
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import Artifact, artifact_utils, standard_component_specs
from tfx.utils import io_utils

from taxiway.components.beam.options import runs_on_engine
from taxiway.components.errors import ConfigError, DataError
from taxiway.components.processes import progress
from taxiway.components.statistics.compute import BATCH_ROWS, compute_statistics, find_obstacle
from taxiway.components.tables.examples.shards import ExampleShard, list_shards, read_shard

LOG = logging.getLogger(__name__)


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes what TFX's StatisticsGen writes: `Split-*/FeatureStats.pb`, split names and span."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises `DataError` where a split has no file, `ConfigError` where two schemas are given."""
        examples = artifact_utils.get_single_instance(input_dict[standard_component_specs.EXAMPLES_KEY])
        statistics = artifact_utils.get_single_instance(output_dict[standard_component_specs.STATISTICS_KEY])
        options = _read_options(input_dict, exec_properties)
        splits = _choose_splits(examples, exec_properties)
        _set_properties(statistics, examples, splits, options)
        for split in splits:
            shards = list_shards(examples.uri, split)
            if not shards:
                raise DataError(f"{examples.uri} has no files of the split {split!r}.", "Run ExampleGen again.")
            path = f"{artifact_utils.get_split_uri([statistics], split)}/{stats_artifact_utils.BINARY_PB_BASENAME}"
            self._write_statistics(shards, options, path)

    def _write_statistics(self, shards: tuple[ExampleShard, ...], options: tfdv.StatsOptions, path: str) -> None:
        pipeline = self._make_beam_pipeline()  # only one that is entered runs
        obstacle = "an engine runs it" if runs_on_engine(pipeline) else find_obstacle(options)
        if obstacle:
            LOG.info("statistics by TFDV's Beam pipeline: %s", obstacle)
            with pipeline:
                compute_on_beam(pipeline, shards, options, path)
            return
        progress.report_progress("StatisticsGen", f"reading {len(shards)} file{'s' * (len(shards) > 1)}")
        batches = (batch for shard in shards for batch in read_shard(shard, batch_rows=BATCH_ROWS))
        _write_message(compute_statistics(batches, options), path)


def _read_options(input_dict: dict[str, list[Artifact]], exec_properties: dict[str, Any]) -> tfdv.StatsOptions:
    """The options, with the schema of the input of that name where there is one."""
    text = exec_properties.get(standard_component_specs.STATS_OPTIONS_JSON_KEY)
    options = tfdv.StatsOptions.from_json(text) if text else tfdv.StatsOptions()
    if schemas := input_dict.get(standard_component_specs.SCHEMA_KEY):
        if options.schema:
            raise ConfigError(
                "StatisticsGen has a schema as an input and one in stats_options.", "Leave one of them out."
            )
        folder = artifact_utils.get_single_uri(schemas)
        options.schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(folder))
    return options


def _choose_splits(examples: Artifact, exec_properties: dict[str, Any]) -> list[str]:
    excluded = json.loads(exec_properties.get(standard_component_specs.EXCLUDE_SPLITS_KEY) or "null") or []
    return [split for split in artifact_utils.decode_split_names(examples.split_names) if split not in excluded]


def _set_properties(statistics: Artifact, examples: Artifact, splits: list[str], options: tfdv.StatsOptions) -> None:
    """What TFX's executor writes on the artifact, but for the link to a dashboard that only Google has."""
    statistics.split_names = artifact_utils.encode_split_names(splits)
    statistics.span = examples.span
    statistics.set_string_custom_property(tfx_executor.STATS_DASHBOARD_LINK, "")
    rates = json.dumps(dict.fromkeys(splits, options.sample_rate or 1.0))
    statistics.set_json_value_custom_property(tfx_executor.SAMPLE_RATE_BY_SPLIT_PROPERTY_NAME, rates)


def compute_on_beam(
    pipeline: beam.Pipeline, shards: tuple[ExampleShard, ...], options: tfdv.StatsOptions, path: str
) -> None:
    """TFDV's own transform, fed with large batches; each element is a file, so that workers share them."""
    _ = (
        pipeline
        | "Shards" >> beam.Create(shards)
        | "Read" >> beam.FlatMap(read_shard)
        | "GenerateStatistics" >> tfdv.GenerateStatistics(options)
        | "Write" >> tfdv.WriteStatisticsToBinaryFile(path)
    )


def _write_message(message: statistics_pb2.DatasetFeatureStatisticsList, path: str) -> None:
    gfile.makedirs(path.rpartition("/")[0])
    with gfile.GFile(path, "wb") as out:
        out.write(message.SerializeToString())
