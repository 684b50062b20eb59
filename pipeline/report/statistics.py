"""TFDV's statistics of each column as plain values. Only the protos are imported: no TFDV, no TensorFlow."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "FeatureStats.pb"
BARS = 20
ODD = (ArithmeticError, ValueError, LookupError, TypeError)
"""Errors that odd values of one column may raise in computations; they cost that column, not the report."""


@dataclass(frozen=True)
class ColumnStatistics:
    """One column of one split.

    Attributes:
        name: Name of the column.
        kind: `int`, `float`, `string` or `bytes`.
        rows: Rows of the split.
        missing: Rows without a value.
        mean, std, low, high: Moments and range; of numbers only.
        unique: Distinct values; of strings only.
        values: Values with their shares of the rows that have one, the most frequent first; of strings only.
        cdf: Points `(x, share of the values up to x)`, both ascending, linear in between; of numbers only.
        trouble: Reason why its statistics could not be read; empty where they could.
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
    cdf: tuple[tuple[float, float], ...] = ()
    trouble: str = ""

    @property
    def missing_share(self) -> float:
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class SplitStatistics:
    """The columns of one split by name."""

    rows: int
    columns: Mapping[str, ColumnStatistics]


def read_splits(folder: str | Path) -> dict[str, SplitStatistics]:
    """The splits of an `ExampleStatistics` artifact by name; empty where its files are gone."""
    splits = {}
    for path in sorted(Path(folder).glob(f"Split-*/{FILE}")):
        splits[path.parent.name.removeprefix("Split-")] = parse_split(path.read_bytes())
    return splits


def parse_split(content: bytes) -> SplitStatistics:
    """The columns of a serialized `DatasetFeatureStatisticsList` of one split."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    datasets = statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets
    if not datasets:
        return SplitStatistics(0, {})
    rows = int(datasets[0].num_examples)
    columns = (_try_parse_column(feature, rows) for feature in datasets[0].features)
    return SplitStatistics(rows, {column.name: column for column in columns})


def _try_parse_column(feature: Any, rows: int) -> ColumnStatistics:
    """A column; one whose statistics cannot be read holds the error, and the report goes on."""
    name = feature.name or "/".join(feature.path.step)
    try:
        return _parse_column(name, feature, rows)
    except ODD as error:
        return ColumnStatistics(name, "other", rows, 0, trouble=format_error_line(error))


def format_error_line(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}"


def _parse_column(name: str, feature: Any, rows: int) -> ColumnStatistics:
    kind = {0: "int", 1: "float", 2: "string", 3: "bytes"}.get(feature.type, "other")
    which = feature.WhichOneof("stats")
    common = getattr(feature, which).common_stats if which else None
    missing = rows - int(common.num_non_missing) if common else rows
    if which == "num_stats":
        return _parse_numeric(name, kind, rows, missing, feature.num_stats)
    if which == "string_stats":
        return _parse_string(name, kind, rows, missing, feature.string_stats)
    return ColumnStatistics(name, kind, rows, missing)


def _parse_numeric(name: str, kind: str, rows: int, missing: int, stats: Any) -> ColumnStatistics:
    cdf = _build_cdf([list(histogram.buckets) for histogram in stats.histograms], whole=kind == "int")
    return ColumnStatistics(name, kind, rows, missing, stats.mean, stats.std_dev, stats.min, stats.max, cdf=cdf)


def _build_cdf(histograms: list[list[Any]], *, whole: bool) -> tuple[tuple[float, float], ...]:
    """One curve out of TFDV's histograms: equally wide buckets say little where outliers stretch them, quantiles little
    where many values are the same; both together say what each leaves out."""
    points = []
    for buckets in histograms:
        buckets = [bucket for bucket in buckets if math.isfinite(bucket.low_value) and math.isfinite(bucket.high_value)]
        total, below = sum(bucket.sample_count for bucket in buckets) or 1.0, 0.0
        narrow = whole and all(bucket.high_value - bucket.low_value <= 1 for bucket in buckets)
        for bucket in buckets:
            low, high = bucket.low_value, bucket.high_value
            if narrow and bucket.sample_count:  # all of it is the one whole number in the bucket
                low = high = min(math.ceil(low - 1e-9), high)
            points += [(low, below / total), (high, (below + bucket.sample_count) / total)]
            below += bucket.sample_count
        if narrow and points:
            return tuple(points)
    ascending: list[tuple[float, float]] = []
    for x, share in sorted(points):
        ascending.append((x, max(share, ascending[-1][1] if ascending else 0.0)))
    return tuple(ascending)


def compute_edges(column: ColumnStatistics) -> tuple[float, ...]:
    """Edges of the bars that show a column: its middle 99 %, or one bar a value for few whole numbers; empty for what
    is no number or does not vary."""
    if not column.cdf or column.low is None or column.high is None or column.low == column.high:
        return ()
    if column.kind == "int" and column.high - column.low < BARS + 10:
        return _check_edges(column.low - 0.5 + step for step in range(int(column.high - column.low) + 2))
    low, high = (_interpolate_quantile(column.cdf, share) for share in (0.005, 0.995))
    if low == high:
        low, high = column.low, column.high
    return _check_edges(
        low * (1 - step / BARS) + high * (step / BARS) for step in range(BARS + 1)
    )  # low - high may overflow


def _check_edges(edges: Iterable[float]) -> tuple[float, ...]:
    """The edges; none where they are not apart: beyond 2^53 floating-point numbers are wider than a bar."""
    checked = tuple(edges)
    fine = all(math.isfinite(edge) for edge in checked) and all(a < b for a, b in itertools.pairwise(checked))
    return checked if fine and math.isfinite(checked[-1] - checked[0]) else ()


def compute_shares(column: ColumnStatistics, edges: Sequence[float]) -> list[float]:
    """Share of the values between neighbouring edges; what lies at the first edge counts to the first bar."""
    up_to = [_interpolate_share(column.cdf, edge) for edge in edges]
    up_to[0] = _interpolate_share(column.cdf, math.nextafter(edges[0], -math.inf))
    return [after - before for before, after in itertools.pairwise(up_to)]


def _interpolate_share(cdf: Sequence[tuple[float, float]], x: float) -> float:
    """Share of the values up to `x`, `x` included."""
    at = bisect.bisect_right(cdf, (x, math.inf))
    if at in (0, len(cdf)):
        return 0.0 if at == 0 else 1.0
    (x0, y0), (x1, y1) = cdf[at - 1], cdf[at]
    return y1 if x1 <= x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _interpolate_quantile(cdf: Sequence[tuple[float, float]], share: float) -> float:
    at = bisect.bisect_left([y for _, y in cdf], share)
    (x0, y0), (x1, y1) = cdf[max(at - 1, 0)], cdf[min(at, len(cdf) - 1)]
    return x1 if y1 == y0 else x0 + (x1 - x0) * (share - y0) / (y1 - y0)


def _parse_string(name: str, kind: str, rows: int, missing: int, stats: Any) -> ColumnStatistics:
    buckets = stats.rank_histogram.buckets
    total = max(rows - missing, 1)
    values = tuple((bucket.label, bucket.sample_count / total) for bucket in buckets)
    return ColumnStatistics(name, kind, rows, missing, unique=int(stats.unique), values=values)


def measure_drift(before: ColumnStatistics, after: ColumnStatistics) -> tuple[float, str]:
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
        moved = moved if math.isfinite(moved) else 0.0
        measure = "shift of the mean in standard deviations"
    else:
        return missing, "share of missing values"
    return (missing, "share of missing values") if missing > moved else (moved, measure)
