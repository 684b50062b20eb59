"""TFDV's statistics over record batches, without a Beam pipeline. No tfx."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.arrow import array_util

from taxiway.components.stack_seam import get_slice_queries
from taxiway.components.statistics import tfdv_private
from taxiway.components.statistics.value_counts import ValueCounts

BATCH_ROWS = 1 << 16
"""Rows that a generator takes at once: with TFDV's own 1,000 it spends its time on calls."""


class TopValuesGenerator:
    """Distinct values and the most frequent ones of categorical features, exact as TFDV's own, which needs Beam.

    It has the methods of a `tfdv.CombinerStatsGenerator`. Categorical are texts, but those that the schema calls bytes,
    and the whole numbers that the schema calls so.
    """

    def __init__(self, options: tfdv.StatsOptions) -> None:
        self._options = options
        features = options.schema.feature if options.schema else ()
        self._images = {feature.name for feature in features if feature.WhichOneof("domain_info") == "image_domain"}
        self._whole_numbers = {feature.name for feature in features if _is_categorical_integer(feature)}

    def setup(self) -> None:
        """Nothing: TFDV calls it."""

    def create_accumulator(self) -> dict[str, ValueCounts]:
        return {}

    def add_input(self, counted: dict[str, ValueCounts], batch: pa.RecordBatch) -> dict[str, ValueCounts]:
        for name, lists in zip(batch.schema.names, batch.columns, strict=True):
            if self._is_categorical(name, lists.type):
                counted.setdefault(name, ValueCounts(name)).add_values(array_util.flatten_nested(lists, False)[0])
        return counted

    def _is_categorical(self, name: str, kind: pa.DataType) -> bool:
        if pa.types.is_null(kind):
            return False
        if pa.types.is_integer(kind.value_type):
            return name in self._whole_numbers
        return not pa.types.is_floating(kind.value_type) and name not in self._images

    def compact(self, counted: dict[str, ValueCounts]) -> dict[str, ValueCounts]:
        return counted

    def extract_output(self, counted: dict[str, ValueCounts]) -> statistics_pb2.DatasetFeatureStatistics:
        result = statistics_pb2.DatasetFeatureStatistics()
        most = max(self._options.num_top_values, self._options.num_rank_histogram_buckets)
        for name, counts in counted.items():
            if not (distinct := counts.count_distinct()):
                continue
            top = tfdv_private.make_top_values((name,), counts.find_top_values(most), self._options)
            top.features[0].string_stats.unique = distinct
            result.features.add().CopyFrom(top.features[0])
        return result


def _is_categorical_integer(feature: schema_pb2.Feature) -> bool:
    domain = feature.WhichOneof("domain_info")
    is_category = feature.int_domain.is_categorical or domain in ("bool_domain", "natural_language_domain")
    return bool(feature.type == schema_pb2.INT and is_category)


def find_obstacle(options: tfdv.StatsOptions) -> str:
    """Why statistics with these options need TFDV's Beam pipeline; empty where they do not."""
    unusual = {
        "slices": options.slicing_config or options.experimental_slice_functions or get_slice_queries(options),
        "a sample": options.sample_rate,
        "weights": options.example_weight_map.all_weight_features(),
        "chosen features": options.feature_allowlist,
        "partitions": options.experimental_num_feature_partitions > 1 or options.experimental_result_partitions > 1,
        "generators that cannot be merged": not all(map(_can_combine, tfdv_private.make_generators(options))),
    }
    return ", ".join(name for name, value in unusual.items() if value)


def _can_combine(generator: Any) -> bool:
    return tfdv_private.counts_top_values(generator) or isinstance(generator, tfdv.CombinerStatsGenerator)


def compute_statistics(
    batches: Iterable[pa.RecordBatch], options: tfdv.StatsOptions
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """What `tfdv.GenerateStatistics` computes of the same rows.

    Args:
        batches: Columns of lists, as tfx_bsl decodes examples.
        options: Options for which `find_obstacle` says nothing.
    """
    generators = _list_combining_generators(options)
    accumulators = [generator.create_accumulator() for generator in generators]
    for batch in batches:
        accumulators = [g.add_input(a, batch) for g, a in zip(generators, accumulators, strict=True)]
    return tfdv_private.extract_statistics(accumulators, generators)


def _list_combining_generators(options: tfdv.StatsOptions) -> list[Any]:
    generators = [
        TopValuesGenerator(options) if tfdv_private.counts_top_values(generator) else generator
        for generator in tfdv_private.make_generators(options)
    ]
    for generator in generators:
        generator.setup()
    return generators
