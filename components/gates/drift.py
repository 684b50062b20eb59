"""Drift and skew: how far a column's distribution is from that of other data. TFDV computes the distances."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.gates.config import Distances, GatesConfig
from components.gates.kept import Reference
from components.gates.verdict import Finding

Kind = Literal["drift", "skew"]

NO_REFERENCE, NO_THRESHOLD = "no_reference", "no_threshold"
_NAMES = {"L_INFTY": "L-infinity distance", "JENSEN_SHANNON_DIVERGENCE": "Jensen-Shannon divergence"}
_WORST_VALUE = "maximum difference is: "


@dataclass(frozen=True)
class Compared:
    """One comparison.

    Attributes:
        kind: `drift` or `skew`.
        findings: What is beyond its threshold, and why nothing could be compared.
        numbers: `against`, `columns` (how many), `largest` (column and distance), `distances` by column.
    """

    kind: Kind
    findings: tuple[Finding, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)


def without_reference(kind: Kind, reference: Reference) -> Compared:
    """Nothing to compare with: said, and no reason to stop."""
    explanation = f"{kind}: not compared with {reference.what}: {reference.why}"
    finding = Finding(rule=NO_REFERENCE, explanation=explanation, blocking=False)
    return Compared(kind, (finding,), {"against": f"nothing ({reference.why})"})


def compare(
    kind: Kind,
    trained: statistics_pb2.DatasetFeatureStatisticsList,
    other: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    config: GatesConfig,
    what: str,
    left_out: Collection[str] = (),
) -> Compared:
    """Compares two sets of statistics column by column. Imports TFDV, and so TensorFlow.

    Args:
        kind: `drift`: `trained` is this run's training data, `other` earlier training data. `skew`: `trained` is what
            a model learns from, `other` what it is asked about.
        trained: TFDV's statistics of one split.
        other: TFDV's statistics of one split.
        schema: With thresholds in `drift_comparator` or `skew_comparator` where a person has set them.
        config: Thresholds for the other columns, and the anomaly types that do not block.
        what: What `other` is (for `drift`), or which pair is compared, in words.
        left_out: Columns that the model does not see; compared only where the schema has a threshold for them.
    """
    import tensorflow_data_validation as tfdv

    bounds = config.drift if kind == "drift" else config.skew
    bounded = with_thresholds(schema, kind, bounds, trained, left_out)
    given = {"previous_statistics" if kind == "drift" else "serving_statistics": other}
    found = tfdv.validate_statistics(trained, bounded, **given)
    measured = {info.path.step[-1]: _measurement(kind, info) for info in found.drift_skew_info}
    findings = tuple(_findings(kind, found, measured, config, what))
    if not measured and not findings:
        findings = (Finding(rule=NO_THRESHOLD, explanation=f"no column has a threshold for {kind}", blocking=False),)
    return Compared(kind, findings, _numbers(measured, what))


def with_thresholds(
    schema: schema_pb2.Schema,
    kind: Kind,
    bounds: Distances,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    left_out: Collection[str],
) -> schema_pb2.Schema:
    """A copy of the schema in which every column of the model that has no threshold has the configured one."""
    copy = schema_pb2.Schema()
    copy.CopyFrom(schema)
    text = {_name(f): f.WhichOneof("stats") == "string_stats" for d in statistics.datasets for f in d.features}
    for feature in copy.feature:
        if feature.name in left_out or feature.name not in text or feature.HasField(f"{kind}_comparator"):
            continue
        comparator = getattr(feature, f"{kind}_comparator")
        if text[feature.name] and bounds.infinity_norm is not None:
            comparator.infinity_norm.threshold = bounds.infinity_norm
        elif not text[feature.name] and bounds.jensen_shannon is not None:
            comparator.jensen_shannon_divergence.threshold = bounds.jensen_shannon
    return copy


def _name(feature: statistics_pb2.FeatureNameStatistics) -> str:
    return feature.name or ".".join(feature.path.step)


def _measurement(kind: Kind, info: anomalies_pb2.DriftSkewInfo) -> tuple[str, float, float]:
    """Name of the distance, the distance, its threshold: the one that is furthest beyond."""
    measurements = info.drift_measurements if kind == "drift" else info.skew_measurements
    worst = max(measurements, key=lambda m: m.value - m.threshold)
    name = anomalies_pb2.DriftSkewInfo.Measurement.Type.Name(worst.type)
    return _NAMES.get(name, name.lower().replace("_", " ")), worst.value, worst.threshold


def _findings(
    kind: Kind,
    found: anomalies_pb2.Anomalies,
    measured: dict[str, tuple[str, float, float]],
    config: GatesConfig,
    what: str,
) -> Iterator[Finding]:
    """The comparators' anomalies; the others are ExampleValidator's to report."""
    for key, info in sorted(found.anomaly_info.items()):
        column = info.path.step[-1] if info.path.step else key
        for reason in info.reason:
            rule = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
            if rule.startswith("COMPARATOR_"):
                yield Finding(
                    rule=rule,
                    split="train",
                    column=column,
                    explanation=f"{_sentence(reason.description, measured.get(column), what)} ({kind}, rule {rule})",
                    blocking=info.severity == anomalies_pb2.AnomalyInfo.ERROR and rule not in config.allow_anomalies,
                )


def _sentence(description: str, measured: tuple[str, float, float] | None, what: str) -> str:
    if measured is None:  # the column is in one of the two only
        return f"compared with {what}: {description.strip().rstrip('.')}"
    name, value, threshold = measured
    _, _, worst = description.partition(_WORST_VALUE)
    example = f"; the value {worst.strip()!r} differs most" if worst else ""
    return f"the {name} from {what} is {value:.4g}, allowed is {threshold:g}{example}"


def _numbers(measured: dict[str, tuple[str, float, float]], what: str) -> dict[str, Any]:
    numbers: dict[str, Any] = {"against": what, "columns": len(measured)}
    if measured:
        column, (_, value, _) = max(measured.items(), key=lambda item: item[1][1] / item[1][2])
        numbers["largest"] = {column: round(value, 6)}
        numbers["distances"] = {
            name: {"measure": measure, "distance": distance, "threshold": threshold}
            for name, (measure, distance, threshold) in sorted(measured.items())
        }
    return numbers
