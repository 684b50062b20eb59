"""What TFDV's statistics say of each column, as plain values. The protos alone are imported: no TFDV, no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "FeatureStats.pb"


@dataclass(frozen=True)
class Column:
    """One column of one split.

    Attributes:
        name: Of the column.
        kind: `int`, `float`, `string` or `bytes`.
        rows: Of the split.
        missing: Rows without a value.
        mean, std, low, high: Numbers only.
        unique: Strings only: distinct values.
        values: Strings only: value to its share of the rows that have one, the most frequent first.
        bins: Numbers only: `(low, high, share)` of equally wide bins.
    """

    name: str
    kind: str
    rows: int
    missing: int
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    unique: int | None = None
    values: tuple[tuple[str, float], ...] = ()
    bins: tuple[tuple[float, float, float], ...] = ()

    @property
    def missing_share(self) -> float:
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Split:
    """The columns of one split by name."""

    rows: int
    columns: Mapping[str, Column]


def read(folder: str | Path) -> dict[str, Split]:
    """The splits of an `ExampleStatistics` artifact by name; empty where its files are gone."""
    found = {}
    for path in sorted(Path(folder).glob(f"Split-*/{FILE}")):
        found[path.parent.name.removeprefix("Split-")] = _split(path.read_bytes())
    return found


def _split(content: bytes) -> Split:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    datasets = statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets
    if not datasets:
        return Split(0, {})
    rows = int(datasets[0].num_examples)
    columns = (_column(feature, rows) for feature in datasets[0].features)
    return Split(rows, {column.name: column for column in columns})


def _column(feature: Any, rows: int) -> Column:
    name = feature.name or "/".join(feature.path.step)
    kind = {0: "int", 1: "float", 2: "string", 3: "bytes"}.get(feature.type, "other")
    which = feature.WhichOneof("stats")
    common = getattr(feature, which).common_stats if which else None
    missing = rows - int(common.num_non_missing) if common else rows
    if which == "num_stats":
        return _numeric(name, kind, rows, missing, feature.num_stats)
    if which == "string_stats":
        return _string(name, kind, rows, missing, feature.string_stats)
    return Column(name, kind, rows, missing)


def _numeric(name: str, kind: str, rows: int, missing: int, stats: Any) -> Column:
    standard = next((histogram for histogram in stats.histograms if histogram.type == 0), None)
    buckets = list(standard.buckets) if standard else []
    total = sum(bucket.sample_count for bucket in buckets) or 1.0
    bins = tuple((b.low_value, b.high_value, b.sample_count / total) for b in buckets)
    return Column(name, kind, rows, missing, stats.mean, stats.std_dev, stats.min, stats.max, bins=bins)


def _string(name: str, kind: str, rows: int, missing: int, stats: Any) -> Column:
    buckets = stats.rank_histogram.buckets
    total = max(rows - missing, 1)
    values = tuple((bucket.label, bucket.sample_count / total) for bucket in buckets)
    return Column(name, kind, rows, missing, unique=int(stats.unique), values=values)


def drift(before: Column, after: Column) -> tuple[float, str]:
    """How much a column moved, and by which measure.

    Returns:
        Strings: the largest change of a value's share (L-infinity, 0 to 1). Numbers: the change of the mean in standard
        deviations of `before`. What became missing counts where it is more.
    """
    missing = abs(after.missing_share - before.missing_share)
    if before.values or after.values:
        old, new = dict(before.values), dict(after.values)
        moved = max((abs(new.get(value, 0.0) - old.get(value, 0.0)) for value in {*old, *new}), default=0.0)
        measure = "largest change of a share"
    elif before.mean is not None and after.mean is not None:
        moved = abs(after.mean - before.mean) / (before.std or 1.0)
        measure = "shift of the mean in standard deviations"
    else:
        return missing, "share of missing values"
    return (missing, "share of missing values") if missing > moved else (moved, measure)
