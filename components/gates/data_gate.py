"""The data gate's judgement: anomalies, row counts and the label, from protos that others have computed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from taxiway.components.contract import Task
from taxiway.components.gates.config import GatesConfig
from taxiway.components.gates.drift import Comparison
from taxiway.components.gates.verdict import GateFinding, VerdictRecord

GATE = "DataGate"
EXPLANATION_CHARACTERS = 240
_NEW_COLUMN = "SCHEMA_NEW_COLUMN"
_WAYS_OUT = {
    _NEW_COLUMN: "; no model takes it until the schema has a feature of that name; data.leave_out: [{column}] silences "
    "this",
    "UNEXPECTED_DATA_TYPE": "; if the new type is right from now on, write it as the feature's type in the schema; "
    "data.types says how the column is read, and rows with other values are then bad rows (data.max_bad_rows)",
}
"""What a person may do about an anomaly of TFDV, by its type."""


@dataclass(frozen=True)
class ClassOrder:
    """A label's classes in the order of their indices: as the examples number them, and as the schema fixes them."""

    data: tuple[str, ...]
    schema: tuple[str, ...]


def judge_data(
    statistics: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList],
    anomalies: Mapping[str, anomalies_pb2.Anomalies],
    label: str,
    task: Task,
    config: GatesConfig,
    classes: ClassOrder | None = None,
    compared: Collection[Comparison] = (),
    notes: Collection[GateFinding] = (),
    counted: Mapping[str, int] | None = None,
) -> VerdictRecord:
    """Says whether the data may be trained on.

    Args:
        statistics: TFDV's statistics by split name; `train` and `eval` among them.
        anomalies: TFDV's anomalies by split name, judged by the schema.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        config: The section `gates`.
        classes: The label's classes, as numbered in the examples and as the schema fixes them.
        compared: Drift and skew, where configured.
        notes: The notes of ExampleGen, which are handed on.
        counted: The rows of splits of which there are no statistics: `test`.

    Returns:
        The verdict. Its numbers: `rows` by split, `label` by split (`classes` and counts, or `mean` and spread),
        `drift` and `skew` where they were asked for.
    """
    findings: list[GateFinding] = []
    numbers: dict[str, Any] = {"rows": {}, "label": {}}
    for split in sorted(statistics):
        dataset = statistics[split].datasets[0] if statistics[split].datasets else None
        rows = int(dataset.num_examples) if dataset else 0
        numbers["rows"][split] = rows
        findings += _check_row_count(split, rows, config)
        if dataset and rows:
            summary, label_findings = _judge_label(split, dataset, label, task)
            numbers["label"][split] = summary
            findings += label_findings
    for split, rows in (counted or {}).items():
        numbers["rows"][split] = rows
        findings += _check_row_count(split, rows, config)
    findings += _check_class_order(label, classes)
    for split in sorted(anomalies):
        findings += _convert_anomalies(split, anomalies[split], config)
    findings = _drop_repeated_columns(findings)
    for comparison in compared:
        findings += comparison.findings
        numbers[comparison.kind] = comparison.numbers
    findings += notes
    return VerdictRecord(gate=GATE, findings=tuple(findings), numbers=numbers)


def _check_row_count(split: str, rows: int, config: GatesConfig) -> list[GateFinding]:
    if rows >= config.min_rows:
        return []
    what = "is empty" if rows == 0 else f"holds {rows} rows"
    return [
        GateFinding(
            rule="min_rows",
            split=split,
            explanation=f"the split {split!r} {what}; gates.min_rows asks for at least {config.min_rows}",
        )
    ]


def _judge_label(
    split: str, dataset: statistics_pb2.DatasetFeatureStatistics, label: str, task: Task
) -> tuple[dict[str, Any], list[GateFinding]]:
    feature = next((f for f in dataset.features if label in (f.name, *f.path.step)), None)
    if feature is None:
        return {}, [
            _make_label_finding(split, label, "label_missing", f"the label column is not in the split {split!r}")
        ]
    summary, distinct = _summarize_label(feature)
    if distinct >= 2:
        return summary, []
    what = "one class only" if task != "regression" else "one value only"
    return summary, [
        _make_label_finding(split, label, "label_constant", f"the label holds {what} in the split {split!r}")
    ]


def _make_label_finding(split: str, label: str, rule: str, explanation: str) -> GateFinding:
    return GateFinding(rule=rule, split=split, column=label, explanation=explanation)


def _summarize_label(feature: statistics_pb2.FeatureNameStatistics) -> tuple[dict[str, Any], int]:
    """What is known of the label, and how many distinct values it has at least (0, 1 or 2 for numbers)."""
    if feature.HasField("num_stats"):
        stats = feature.num_stats
        present = int(stats.common_stats.num_non_missing)
        distinct = 0 if not present else 1 + (stats.min != stats.max)
        return {"mean": stats.mean, "std_dev": stats.std_dev, "min": stats.min, "max": stats.max}, distinct
    stats = feature.string_stats
    counts = {value.value: int(value.frequency) for value in stats.top_values}
    return {"classes": counts}, int(stats.unique)


def _check_class_order(label: str, classes: ClassOrder | None) -> list[GateFinding]:
    if classes is None or not classes.schema or classes.data == classes.schema:
        return []
    return [
        _make_label_finding(
            "",
            label,
            "class_order",
            f"the examples number the classes {', '.join(classes.data)}, the schema {', '.join(classes.schema)}: set "
            "label.classes to the schema's order, or curate the schema",
        )
    ]


def _convert_anomalies(split: str, anomalies: anomalies_pb2.Anomalies, config: GatesConfig) -> list[GateFinding]:
    findings = []
    for column, info in sorted(anomalies.anomaly_info.items()):
        for reason in info.reason:
            rule = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
            severe = info.severity == anomalies_pb2.AnomalyInfo.ERROR
            findings.append(
                GateFinding(
                    rule=rule,
                    split=split,
                    column=column,
                    explanation=f"{_shorten_description(reason.description)}{_suggest_remedy(rule, column)} "
                    f"(split {split!r}, rule {rule})",
                    blocking=severe and rule != _NEW_COLUMN and rule not in config.allow_anomalies,
                )
            )
    return findings


def _drop_repeated_columns(findings: list[GateFinding]) -> list[GateFinding]:
    """A column that is new is new in every split: once is enough, where nothing is to be mended."""
    first = {finding.column: finding for finding in reversed(findings) if finding.rule == _NEW_COLUMN}
    return [finding for finding in findings if finding.rule != _NEW_COLUMN or first[finding.column] is finding]


def _suggest_remedy(rule: str, column: str) -> str:
    return _WAYS_OUT.get(rule, "").format(column=column)


def _shorten_description(description: str) -> str:
    """TFDV names every unexpected value; a person needs a few, and how many more there are."""
    text = description.strip().rstrip(".")
    if len(text) <= EXPLANATION_CHARACTERS:
        return text
    shown = text[:EXPLANATION_CHARACTERS].rsplit(", ", 1)[0]
    return f"{shown} and {text[len(shown) :].count(', ')} more"
