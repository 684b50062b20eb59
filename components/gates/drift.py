"""Drift and skew: how far a column's distribution is from that of other data. TFDV computes the distances."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from taxiway.components.distributions.distances import Kind, Measured, measure_distances
from taxiway.components.gates.config import GatesConfig
from taxiway.components.gates.reference_statistics import ReferenceStatistics
from taxiway.components.gates.verdict import GateFinding

NO_REFERENCE, NO_THRESHOLD = "no_reference", "no_threshold"
_WORST_VALUE = "maximum difference is: "


@dataclass(frozen=True)
class Comparison:
    """One comparison.

    Attributes:
        kind: `drift` or `skew`.
        findings: The distances beyond their thresholds (what chance explains does not block), or the reason why
            nothing could be compared.
        numbers: `against`, `columns` (how many), `largest` (column and distance), `distances` by column.
    """

    kind: Kind
    findings: tuple[GateFinding, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)


def skip_comparison(kind: Kind, reference: ReferenceStatistics) -> Comparison:
    """A comparison that was not made, because there is nothing to compare with. It does not block."""
    explanation = f"{kind}: not compared with {reference.what}: {reference.why}"
    finding = GateFinding(rule=NO_REFERENCE, explanation=explanation, blocking=False)
    return Comparison(kind, (finding,), {"against": f"nothing ({reference.why})"})


def compare_distributions(
    kind: Kind,
    trained: statistics_pb2.DatasetFeatureStatisticsList,
    other: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    config: GatesConfig,
    what: str,
    left_out: Collection[str] = (),
) -> Comparison:
    """Compares two sets of statistics column by column. Imports TFDV, and so TensorFlow.

    Args:
        kind: `drift`: `trained` is this run's training data, `other` earlier training data. `skew`: `trained` is what
            a model learns from, `other` what it is asked about.
        trained: TFDV's statistics of one split.
        other: TFDV's statistics of one split.
        schema: The curated schema, with thresholds in `drift_comparator` or `skew_comparator` where a person has set
            them.
        config: Thresholds for the other columns, and the anomaly types that do not block.
        what: The words for `other` (for `drift`), or for the pair that is compared.
        left_out: Columns that the model does not see; compared only where the schema has a threshold for them.
    """
    bounds = config.drift if kind == "drift" else config.skew
    measured, anomalies = measure_distances(kind, trained, other, schema, bounds, left_out)
    findings = tuple(_collect_findings(kind, anomalies, measured, config, what))
    if not measured and not findings:
        findings = (
            GateFinding(rule=NO_THRESHOLD, explanation=f"no column has a threshold for {kind}", blocking=False),
        )
    return Comparison(kind, findings, _summarize_distances(measured, what))


def _collect_findings(
    kind: Kind,
    anomalies: anomalies_pb2.Anomalies,
    measured: dict[str, Measured],
    config: GatesConfig,
    what: str,
) -> Iterator[GateFinding]:
    """The comparators' anomalies; ExampleValidator reports the others."""
    for key, info in sorted(anomalies.anomaly_info.items()):
        column = info.path.step[-1] if info.path.step else key
        each = measured.get(column)
        for reason in info.reason:
            rule = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
            if rule.startswith("COMPARATOR_"):
                severe = info.severity == anomalies_pb2.AnomalyInfo.ERROR and rule not in config.allow_anomalies
                yield GateFinding(
                    rule=rule,
                    split="train",
                    column=column,
                    explanation=f"{_describe_distance(reason.description, each, what)} ({kind}, rule {rule})",
                    blocking=severe and not (each and each.may_be_chance),
                )


def _describe_distance(description: str, measured: Measured | None, what: str) -> str:
    if measured is None:  # the column is in one of the two only
        return f"compared with {what}: {description.strip().rstrip('.')}"
    _, _, worst = description.partition(_WORST_VALUE)
    example = f"; the value {worst.strip()!r} differs most" if worst else ""
    few = f"; {measured.rows:,} rows reach {measured.by_chance:.3g} by chance, so this does not block"
    return (
        f"the {measured.name} from {what} is {measured.value:.4g}, allowed is {measured.threshold:g}{example}"
        f"{few if measured.may_be_chance else ''}"
    )


def _summarize_distances(measured: dict[str, Measured], what: str) -> dict[str, Any]:
    numbers: dict[str, Any] = {"against": what, "columns": len(measured)}
    if measured:
        column = max(measured, key=lambda name: _compute_excess(measured[name]))
        numbers["largest"] = {column: round(measured[column].value, 6)}
        numbers["distances"] = {
            name: {
                "measure": each.name,
                "distance": each.value,
                "threshold": each.threshold,
                "by_chance": each.by_chance,
            }
            for name, each in sorted(measured.items())
        }
    return numbers


def _compute_excess(measured: Measured) -> float:
    """The distance in units of its threshold; a schema's threshold of zero allows no change, any is infinite."""
    if measured.threshold:
        return measured.value / measured.threshold
    return math.inf if measured.value else 0.0
