"""How far two samples of one distribution are apart by chance: few rows differ without any drift."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorflow_metadata.proto.v0 import statistics_pb2

ERROR_RATE = 0.001
"""Of all comparisons of a gate together: a distance that chance exceeds more often blocks nothing."""


def compute_chance(
    trained: statistics_pb2.FeatureNameStatistics,
    other: statistics_pb2.FeatureNameStatistics,
    threshold: float,
    columns: int,
) -> float:
    """The distance of a column that two samples of these sizes exceed by chance in `ERROR_RATE` of the cases; 0 where
    the statistics hold too little to say.

    Args:
        trained: TFDV's statistics of the column.
        other: Those of the other rows.
        threshold: The largest distance allowed.
        columns: Columns that are compared: each has its part of the error rate.
    """
    sizes = [count_values(feature) for feature in (trained, other)]
    if not all(sizes):
        return 0.0
    spread, rate = sum(1 / size for size in sizes), ERROR_RATE / max(columns, 1)
    if trained.WhichOneof("stats") == "string_stats":
        return _bound_infinity_norm([_read_shares(feature) for feature in (trained, other)], spread, threshold, rate)
    return _bound_divergence(_count_buckets([trained, other]), spread, rate)


def count_values(feature: statistics_pb2.FeatureNameStatistics) -> int:
    """The rows that have a value: to TFDV a row whose list is empty, as ExampleGen writes a missing value, is there."""
    common = _read_common(feature)
    return int(common.tot_num_values if common.max_num_values <= 1 else common.num_non_missing)


def _read_common(feature: statistics_pb2.FeatureNameStatistics) -> statistics_pb2.CommonStatistics:
    """Of numbers, texts, and the bytes of a column that the schema calls images."""
    kind = feature.WhichOneof("stats")
    return getattr(feature, kind).common_stats if kind else statistics_pb2.CommonStatistics()


def _read_shares(feature: statistics_pb2.FeatureNameStatistics) -> dict[str, float]:
    buckets = feature.string_stats.rank_histogram.buckets
    total = sum(bucket.sample_count for bucket in buckets)
    return {bucket.label: bucket.sample_count / total for bucket in buckets} if total else {}


def _bound_infinity_norm(shares: Sequence[dict[str, float]], spread: float, threshold: float, rate: float) -> float:
    """The difference of two shares is nearly normal. Of the values beyond the threshold: the bound of the one that is
    furthest beyond its own; the largest bound where all are within theirs."""
    from scipy import special

    trained, other = shares
    values = sorted({*trained, *other})
    factor = -float(special.ndtri(rate / 2 / max(len(values), 1)))
    beyond = [(0.0, 0.0)]  # how far beyond its bound, and the bound
    for value in values:
        one, two = trained.get(value, 0.0), other.get(value, 0.0)
        middle = (one + two) / 2
        bound = factor * math.sqrt(middle * (1 - middle) * spread)
        if abs(one - two) > threshold:
            beyond.append((max(abs(one - two) - bound, 0.0), bound))
    return max(beyond)[1]


def _count_buckets(features: Sequence[statistics_pb2.FeatureNameStatistics]) -> int:
    """The pieces into which the edges of both histograms cut the numbers, as TFDV compares them."""
    edges: set[float] = set()
    for feature in features:
        for histogram in feature.num_stats.histograms:
            if histogram.type == statistics_pb2.Histogram.STANDARD:
                edges |= {end for bucket in histogram.buckets for end in (bucket.low_value, bucket.high_value)}
    return max(len(edges) - 1, 0)


def _bound_divergence(buckets: int, spread: float, rate: float) -> float:
    """In bits. For near distributions the divergence is an eighth of the chi-squared distance of the shares."""
    from scipy import special

    return float(special.chdtri(buckets - 1, rate)) * spread / 8 / math.log(2) if buckets > 1 else 0.0
