"""A window's columns made comparable with training statistics: the same histogram buckets on both sides.

TFDV cuts a histogram between the smallest and the largest number of its own rows, and compares two histograms as if
the rows of a bucket were spread evenly. Few rows seldom reach the largest number of many, so an honest sample of a
skewed column would be far away. With the smallest and the largest number of training added to the window, and what lies
outside of them moved to them, TFDV cuts both alike; the two rows are taken off the counts again. What lies outside is
counted by another check.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.distributions.distances import name_feature

Features = Mapping[str, statistics_pb2.FeatureNameStatistics]


def index_features(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    """The features by column."""
    return {name_feature(feature): feature for dataset in statistics.datasets for feature in dataset.features}


def add_range_ends(columns: Mapping[str, pa.Array], trained: Features) -> pa.RecordBatch:
    """The columns clipped to the training ranges, with two rows more: the smallest and the largest number of training.

    Args:
        columns: Lists by column, `[rows]`.
        trained: Training statistics by column.
    """
    arrays = {name: _add_ends(column, trained.get(name)) for name, column in columns.items()}
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def find_range(feature: statistics_pb2.FeatureNameStatistics | None) -> tuple[float, float] | None:
    """The smallest and the largest number; None of a text, and where no number was there."""
    if feature is None or feature.WhichOneof("stats") != "num_stats":
        return None
    stats = feature.num_stats
    if not stats.common_stats.num_non_missing or not np.isfinite([stats.min, stats.max]).all():
        return None
    return stats.min, stats.max


def _add_ends(column: pa.Array, feature: statistics_pb2.FeatureNameStatistics | None) -> pa.Array:
    ends, kind = find_range(feature), column.type.value_type
    numeric = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    if ends is None or not numeric:
        return pa.concat_arrays([column, pa.nulls(2, column.type)])
    clipped = _clip_values(column, *(pa.scalar(end, pa.float64()).cast(kind) for end in ends))
    return pa.concat_arrays([clipped, pa.array([[_to_kind(end, kind)] for end in ends], column.type)])


def _to_kind(number: float, kind: pa.DataType) -> float | int:
    return int(number) if pa.types.is_integer(kind) else number


def _clip_values(column: pa.Array, low: pa.Scalar, high: pa.Scalar) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    values = column.flatten()
    values = pc.if_else(pc.less(values, low), low, values)
    values = pc.if_else(pc.greater(values, high), high, values)
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)


def take_ends_off(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, trained: Features
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics of `add_range_ends`' rows without the two rows, in place."""
    for dataset in statistics.datasets:
        dataset.num_examples -= 2
        for feature in dataset.features:
            name = name_feature(feature)
            is_number = feature.WhichOneof("stats") == "num_stats"
            if is_number and find_range(trained.get(name)) is not None:
                feature.num_stats.common_stats.num_non_missing -= 2
                feature.num_stats.common_stats.tot_num_values -= 2
                _take_off_counts(feature.num_stats.histograms)
            elif is_number:
                feature.num_stats.common_stats.num_missing -= 2
            else:
                feature.string_stats.common_stats.num_missing -= 2
    return statistics


def _take_off_counts(histograms: object) -> None:
    for histogram in histograms:  # type: ignore[attr-defined]
        if histogram.type == statistics_pb2.Histogram.STANDARD and histogram.buckets:
            for bucket in (histogram.buckets[0], histogram.buckets[-1]):
                bucket.sample_count = max(bucket.sample_count - 1, 0.0)
