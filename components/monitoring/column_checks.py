"""A window's columns against the training statistics: missing values, new values, range, distribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from taxiway.components.distributions.chance import count_values
from taxiway.components.distributions.distances import Measured, measure_distances
from taxiway.components.distributions.shares import (
    bound_beyond_range,
    bound_listing_luck,
    bound_quantile_change,
    bound_share_change,
    bound_unseen,
    measure_quantile_change,
)
from taxiway.components.distributions.thresholds import Distances
from taxiway.components.monitoring.comparable import Features, find_range, index_features
from taxiway.components.monitoring.config import MonitoringConfig
from taxiway.components.monitoring.findings import Difference
from taxiway.components.monitoring.window import RequestWindow
from taxiway.components.tables.seen_words import KnownWords

CHECKS_A_COLUMN = 5
"""Checks of a column, at most: missing values, new values or range, two measures of skew, drift."""
SHOWN_VALUES = 3
NOT_UTF8 = b"__BYTES_VALUE__"
"""What TFDV lists in place of texts that are no UTF-8."""
_TYPES = {
    statistics_pb2.FeatureNameStatistics.INT: schema_pb2.INT,
    statistics_pb2.FeatureNameStatistics.FLOAT: schema_pb2.FLOAT,
}


@dataclass(frozen=True)
class ColumnCheck:
    """What every check of a window's columns takes.

    Attributes:
        window: The rows.
        statistics: Their statistics, made comparable (`comparable`).
        trained: Training statistics.
        schema: The schema.
        columns: Columns that are judged.
        rate: Error rate of one check.
        config: Limits.
        words: All values of training by column, where they were few enough.
    """

    window: RequestWindow
    statistics: statistics_pb2.DatasetFeatureStatisticsList
    trained: statistics_pb2.DatasetFeatureStatisticsList
    schema: schema_pb2.Schema
    columns: tuple[str, ...]
    rate: float
    config: MonitoringConfig
    words: Mapping[str, KnownWords] = field(default_factory=dict)


def check_columns(check: ColumnCheck) -> Iterator[Difference]:
    """All differences of the columns from training, whether they exceed their limits or not."""
    trained, other = index_features(check.trained), index_features(check.statistics)
    trained_rows = sum(int(dataset.num_examples) for dataset in check.trained.datasets)
    present = []
    for column in check.columns:
        missing = _check_missing(check, column, trained[column], other.get(column), trained_rows)
        yield missing
        if missing.value < 1 and column in other:
            present.append(column)
    for column in present:
        yield from _check_values(check, column, trained[column])
    skew = compare_statistics("skew", check, check.trained, check.statistics, check.config.skew, present)
    yield from skew.values()


def _check_missing(
    check: ColumnCheck,
    column: str,
    trained: statistics_pb2.FeatureNameStatistics,
    other: statistics_pb2.FeatureNameStatistics | None,
    trained_rows: int,
) -> Difference:
    rows = check.window.rows
    before = 1 - count_values(trained) / max(trained_rows, 1)
    now = 1 - (count_values(other) if other is not None else 0) / rows
    change, chance = abs(now - before), bound_share_change(before, now, (trained_rows, rows), check.rate)
    if now == 1:
        words = f"{column}: none of {rows:,} rows has a value; in training {1 - before:.1%} had one"
        return Difference("missing_column", column, "share missing", change, check.config.missing_share, chance, words)
    words = f"{column}: {now:.1%} of {rows:,} rows have no value; in training {before:.1%} had none"
    return Difference(
        "missing_share", column, "change of share missing", change, check.config.missing_share, chance, words
    )


def _check_values(
    check: ColumnCheck, column: str, trained: statistics_pb2.FeatureNameStatistics
) -> Iterator[Difference]:
    ends = find_range(trained)
    if ends is not None and not check.window.is_text(column):
        numbers = check.window.read_numbers(column)
        if len(numbers):
            yield _check_range(check, column, numbers, ends, count_values(trained))
            yield from _check_quantiles(check, column, numbers, trained)
    elif trained.WhichOneof("stats") == "string_stats" and check.window.is_text(column):
        yield _check_new_values(check, column, trained)


def _check_range(
    check: ColumnCheck, column: str, numbers: np.ndarray, ends: tuple[float, float], trained: int
) -> Difference:
    low, high = int((numbers < ends[0]).sum()), int((numbers > ends[1]).sum())
    chance = 2 * bound_beyond_range(trained, len(numbers), check.rate / 2) / len(numbers)
    share = (low + high) / len(numbers)
    words = (
        f"{column}: {share:.1%} of {len(numbers):,} values lie outside of training's {ends[0]:.6g} to {ends[1]:.6g}; "
        f"they go from {numbers.min():.6g} to {numbers.max():.6g}"
    )
    return Difference("out_of_range", column, "share outside", share, check.config.outside_share, chance, words)


def _check_quantiles(
    check: ColumnCheck, column: str, numbers: np.ndarray, trained: statistics_pb2.FeatureNameStatistics
) -> Iterator[Difference]:
    limit = _find_norm(check, column)
    edges, shares = read_quantiles(trained)
    if limit is None or not len(edges):
        return
    change, edge = measure_quantile_change(edges, shares, numbers)
    chance = bound_quantile_change(len(edges), (count_values(trained), len(numbers)), check.rate)
    share = shares[list(edges).index(edge)]
    words = (
        f"{column}: the share of values up to {edge:.6g} differs by {change:.1%} from training's {share:.1%}; the "
        f"median is {np.median(numbers):.6g}"
    )
    yield Difference("skew", column, "L-infinity distance of the cumulative shares", change, limit, chance, words)


def _find_norm(check: ColumnCheck, column: str) -> float | None:
    """The L-infinity threshold for a column's numbers; a person's own comparator in the schema stands alone."""
    feature = next((each for each in check.schema.feature if each.name == column), None)
    if feature is not None and feature.HasField("skew_comparator"):
        return None
    return check.config.skew.infinity_norm


def read_quantiles(trained: statistics_pb2.FeatureNameStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Inner quantiles of a column's training numbers, and the share of the rows that are not above each."""
    for histogram in trained.num_stats.histograms:
        total = sum(bucket.sample_count for bucket in histogram.buckets)
        if histogram.type == statistics_pb2.Histogram.QUANTILES and total:
            edges = np.array([bucket.high_value for bucket in histogram.buckets])[:-1]
            counts = np.cumsum([bucket.sample_count for bucket in histogram.buckets])[:-1]
            return edges, counts / total
    return np.array([]), np.array([])


def _check_new_values(check: ColumnCheck, column: str, trained: statistics_pb2.FeatureNameStatistics) -> Difference:
    known = _list_known_values(check, column, trained)
    values = [text for row in check.window.columns[column].to_pylist() for text in row or ()]
    counted = Counter(values)
    new = {text: count for text, count in counted.items() if not known.has_value(text)}
    rows = max(len(values), 1)
    expected = known.unseen / max(known.total, 1)
    excess = max(sum(new.values()) / rows - expected, 0.0)
    chance = bound_unseen(known.unseen, known.total, rows, check.rate) / rows - expected
    most = sorted(new, key=lambda text: (-new[text], text))[:SHOWN_VALUES]
    shown = ", ".join(f"{text.decode('utf-8', 'replace')[:40]!r} ({new[text]:,})" for text in most)
    words = (
        f"{column}: {sum(new.values()) / rows:.1%} of {rows:,} values {known.describe_others()}, {expected:.1%} are "
        f"expected; most often {shown}"
    )
    measure = "share of new values" if known.is_complete else "share of values beyond those listed"
    return Difference("new_values", column, measure, excess, check.config.new_values_share, chance, words)


@dataclass(frozen=True)
class _KnownValues:
    """What is known of a column's values in training.

    Attributes:
        listed: Values of TFDV's list, which ends after the most frequent ones, and of the schema.
        words: All values of training, as hashes; None where there were too many.
        unseen: Values of training that would be new, or beyond the list, without themselves; at most so many.
        total: Values of training: of a column of lists more than rows.
        distinct: Number of different ones.
        is_complete: Flag that any other value is a new one.
    """

    listed: frozenset[bytes]
    words: KnownWords | None
    unseen: int
    total: int
    distinct: int
    is_complete: bool

    def has_value(self, text: bytes) -> bool:
        if text in self.listed or (self.words is not None and self.words.seen_in_training(text)):
            return True
        return NOT_UTF8 in self.listed and not _is_utf8(text)

    def describe_others(self) -> str:
        if self.is_complete:
            return "were never seen in training"
        return (
            f"are not among the {len(self.listed):,} listed ones of training's {self.distinct:,} (whether training had "
            "them is not known)"
        )


def _list_known_values(check: ColumnCheck, column: str, trained: statistics_pb2.FeatureNameStatistics) -> _KnownValues:
    """TFDV lists the most frequent 1,000 values and counts all; the version's reading rules have more, as hashes."""
    stats, words = trained.string_stats, check.words.get(column)
    buckets = stats.rank_histogram.buckets
    listed = frozenset({bucket.label.encode() for bucket in buckets} | _read_domain(check.schema, column))
    once = sum(1 for bucket in buckets if bucket.sample_count <= 1)
    total, distinct = int(stats.common_stats.tot_num_values), int(stats.unique)
    unlisted_rows = int(max(total - sum(bucket.sample_count for bucket in buckets), 0))
    unlisted = max(distinct - len(buckets), 0) if distinct else unlisted_rows
    if words is not None:
        # Of the values that are known but not listed any number may have been seen once.
        return _KnownValues(listed, words, once + min(unlisted, unlisted_rows), total, distinct, True)
    if not unlisted_rows:
        return _KnownValues(listed, None, once, total, distinct, True)
    counts = np.array([bucket.sample_count for bucket in buckets], np.float64)
    beyond = min(int(unlisted_rows + bound_listing_luck(counts, unlisted)), total)
    return _KnownValues(listed, None, beyond, total, distinct, False)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_domain(schema: schema_pb2.Schema, column: str) -> set[bytes]:
    domains = {domain.name: domain for domain in schema.string_domain}
    for feature in schema.feature:
        if feature.name == column:
            domain = feature.string_domain if feature.HasField("string_domain") else domains.get(feature.domain)
            return {value.encode() for value in domain.value} if domain is not None else set()
    return set()


def compare_statistics(
    kind: Literal["skew", "drift"],
    check: ColumnCheck,
    first: statistics_pb2.DatasetFeatureStatisticsList,
    second: statistics_pb2.DatasetFeatureStatisticsList,
    bounds: Distances,
    columns: list[str],
) -> dict[str, Difference]:
    """TFDV's own distance of each column: L-infinity of texts, Jensen-Shannon of numbers, or what the schema asks for.

    Args:
        kind: `skew`: `first` is training's, `second` the window's. `drift`: `first` is the window's, `second` that of
            the window before.
        check: Schema and error rate.
        first, second: Statistics.
        bounds: Limits where the schema has none.
        columns: Columns that are compared.
    """
    comparisons = max(round(0.001 / check.rate), 1)
    measured, _ = measure_distances(
        kind, _select(first, columns), _select(second, columns), _declare_columns(check, columns), bounds,
        comparisons=comparisons,
    )  # fmt: skip
    against = "training" if kind == "skew" else "the window before"
    return {name: _describe_distance(kind, name, each, against) for name, each in measured.items()}


def _describe_distance(kind: Literal["skew", "drift"], column: str, measured: Measured, against: str) -> Difference:
    words = f"{column}: the {measured.name} from {against} is {measured.value:.3g}, allowed is {measured.threshold:g}"
    return Difference(kind, column, measured.name, measured.value, measured.threshold, measured.by_chance, words)


def _select(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, columns: list[str]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics of some columns: TFDV would report the others as missing."""
    chosen = statistics_pb2.DatasetFeatureStatisticsList()
    features: Features = index_features(statistics)
    dataset = chosen.datasets.add(num_examples=sum(int(each.num_examples) for each in statistics.datasets))
    dataset.features.extend(features[name] for name in columns if name in features)
    return chosen


def _declare_columns(check: ColumnCheck, columns: list[str]) -> schema_pb2.Schema:
    """The schema's features of these columns; a column that it does not have is declared, so that it gets a limit."""
    known = {feature.name: feature for feature in check.schema.feature}
    trained = index_features(check.trained)
    schema = schema_pb2.Schema()
    schema.CopyFrom(check.schema)
    del schema.feature[:]
    for name in columns:
        declared = schema_pb2.Feature(name=name, type=_TYPES.get(trained[name].type, schema_pb2.BYTES))
        schema.feature.add().CopyFrom(known.get(name, declared))
    return schema
