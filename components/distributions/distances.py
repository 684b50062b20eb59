"""TFDV's distances between two sets of statistics, column by column, each with what chance reaches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from taxiway.components.distributions.chance import compute_chance
from taxiway.components.distributions.thresholds import Distances

Kind = Literal["drift", "skew"]

_NAMES = {"L_INFTY": "L-infinity distance", "JENSEN_SHANNON_DIVERGENCE": "Jensen-Shannon divergence"}
_CHANCE = {"string_stats": _NAMES["L_INFTY"], "num_stats": _NAMES["JENSEN_SHANNON_DIVERGENCE"]}
"""The distance for which `chance.py` knows what chance reaches, by the kind of statistics."""


@dataclass(frozen=True)
class Measured:
    """The distance of a column.

    Attributes:
        name: Of the distance.
        value, threshold: What it is, and the most that is allowed.
        by_chance: What chance alone reaches with as many rows; see `chance.compute_chance`.
        rows: Rows of the smaller side.
    """

    name: str
    value: float
    threshold: float
    by_chance: float = 0.0
    rows: int = 0

    @property
    def may_be_chance(self) -> bool:
        """Whether as few rows say nothing; a threshold of 0 allows no difference, whatever its reason."""
        return 0 < self.threshold < self.value <= self.by_chance


def measure_distances(
    kind: Kind,
    trained: statistics_pb2.DatasetFeatureStatisticsList,
    other: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    bounds: Distances,
    left_out: Collection[str] = (),
    comparisons: int = 0,
) -> tuple[dict[str, Measured], anomalies_pb2.Anomalies]:
    """The distance of each column that has a threshold, and TFDV's anomalies. Imports TFDV, and so TensorFlow.

    Args:
        kind: `drift`: `other` is what came before `trained`. `skew`: `other` is what a model is asked about.
        trained, other: TFDV's statistics of one split, or of one window of requests.
        schema: Schema, with thresholds in `drift_comparator` or `skew_comparator` where a person has set them.
        bounds: Thresholds for the other columns.
        left_out: Columns that are compared only where the schema has a threshold for them.
        comparisons: Comparisons that share the error rate of chance; 0: the columns that are compared here.
    """
    import tensorflow_data_validation as tfdv

    bounded = add_thresholds(schema, kind, bounds, trained, left_out)
    given = {"previous_statistics" if kind == "drift" else "serving_statistics": other}
    anomalies = tfdv.validate_statistics(trained, bounded, **given)
    picked = {info.path.step[-1]: pick_measurement(kind, info) for info in anomalies.drift_skew_info}
    return _add_chance(picked, trained, other, comparisons or len(picked)), anomalies


def add_thresholds(
    schema: schema_pb2.Schema,
    kind: Kind,
    bounds: Distances,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    left_out: Collection[str],
) -> schema_pb2.Schema:
    """A copy of the schema in which every column of the model that has no threshold has the configured one."""
    copy = schema_pb2.Schema()
    copy.CopyFrom(schema)
    text = {name_feature(f): f.WhichOneof("stats") == "string_stats" for d in statistics.datasets for f in d.features}
    for feature in copy.feature:
        if feature.name in left_out or feature.name not in text or feature.HasField(f"{kind}_comparator"):
            continue
        comparator = getattr(feature, f"{kind}_comparator")
        if text[feature.name] and bounds.infinity_norm is not None:
            comparator.infinity_norm.threshold = bounds.infinity_norm
        elif not text[feature.name] and bounds.jensen_shannon is not None:
            comparator.jensen_shannon_divergence.threshold = bounds.jensen_shannon
    return copy


def name_feature(feature: statistics_pb2.FeatureNameStatistics) -> str:
    """The column of a feature."""
    return feature.name or ".".join(feature.path.step)


def pick_measurement(kind: Kind, info: anomalies_pb2.DriftSkewInfo) -> Measured:
    """The measurement that exceeds its threshold most."""
    measurements = info.drift_measurements if kind == "drift" else info.skew_measurements
    worst = max(measurements, key=lambda m: m.value - m.threshold)
    name = anomalies_pb2.DriftSkewInfo.Measurement.Type.Name(worst.type)
    return Measured(_NAMES.get(name, name.lower().replace("_", " ")), worst.value, worst.threshold)


def _add_chance(
    measured: dict[str, Measured],
    trained: statistics_pb2.DatasetFeatureStatisticsList,
    other: statistics_pb2.DatasetFeatureStatisticsList,
    comparisons: int,
) -> dict[str, Measured]:
    """The measurements with what chance reaches; 0 where a person's threshold is of a distance without such a rule."""
    sides = [{name_feature(f): f for d in side.datasets for f in d.features} for side in (trained, other)]
    found = {}
    for name, each in measured.items():
        pair = [side[name] for side in sides if name in side]
        known = len(pair) == len(sides) and all(_CHANCE.get(f.WhichOneof("stats")) == each.name for f in pair)
        bound = compute_chance(pair[0], pair[1], each.threshold, comparisons) if known else 0.0
        found[name] = replace(each, by_chance=bound, rows=min(count_rows(side) for side in (trained, other)))
    return found


def count_rows(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> int:
    """The rows that statistics describe."""
    return sum(int(dataset.num_examples) for dataset in statistics.datasets)
