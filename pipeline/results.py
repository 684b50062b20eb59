"""The numbers of a run, read from the artifacts that its nodes wrote, never from what the code remembers.

Nothing heavy is imported: evaluations are read without TFMA.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from components import servables
from components.evaluation.config import JUDGED_ROWS, POSITIVES
from components.gates.verdict import VerdictRecord
from components.optimizer import report as optimizer_report
from components.serving import manifest
from pipeline import evaluations
from pipeline.record import OVERALL, GateRecord, MetricValues, PushRecord, VariantRecord
from pipeline.store import ArtifactRecord

BASELINE = "baseline"
_COUNTS = {"rows": "example_count", "positives": POSITIVES, "judged_rows": JUDGED_ROWS}
"""By field of `MetricValues`: what counts rows and is no metric."""
_SINGLE_CLASS = re.compile(r"(?P<kind>[a-z0-9]+)\[(?P<name>.*)\]", re.DOTALL)
UNTOLD = "it did not pass; its files are not on this machine"


def gate(node: str, outputs: Sequence[ArtifactRecord]) -> GateRecord | None:
    """What a node decided, if it is a gate; None for the others.

    Args:
        node: The node's id.
        outputs: What its execution wrote.
    """
    for artifact in outputs:
        read = _GATES.get(artifact.type)
        if read:
            return read(node, artifact, {other.type: other for other in outputs})
    return None


def gate_of_properties(node: str, outputs: Sequence[ArtifactRecord]) -> GateRecord | None:
    """The same from the artifact's properties alone, where its files are not on this machine."""
    for artifact in outputs:
        if artifact.type in _GATES:
            known = artifact.properties
            passed = known.get("passed" if artifact.type == "taxiway.Verdict" else "blessed") == 1
            return GateRecord(gate=node, passed=passed, reason=str(known.get("reason") or ("" if passed else UNTOLD)))
    return None


def _verdict(node: str, artifact: ArtifactRecord, _: Mapping[str, ArtifactRecord]) -> GateRecord:
    record = VerdictRecord.read(artifact.uri)
    findings = [finding.model_dump(exclude_defaults=True) for finding in record.findings]
    numbers = {**record.numbers, **({"findings": findings} if findings else {})}
    return GateRecord(gate=node, passed=record.passed, reason=record.reason, numbers=numbers)


def _blessing(node: str, artifact: ArtifactRecord, others: Mapping[str, ArtifactRecord]) -> GateRecord:
    passed = artifact.properties.get("blessed") == 1
    evaluation = others.get("ModelEvaluation")
    failures = threshold_failures(evaluation.uri) if evaluation and not passed else []
    reason = "" if passed else "; ".join(failures[:3]) or "the evaluator did not bless the model"
    if len(failures) > 3:
        reason += f" (and {len(failures) - 3} more)"
    numbers = {**(judged(evaluation.uri) if evaluation else {}), **({"failures": failures} if failures else {})}
    return GateRecord(gate=node, passed=passed, reason=reason, numbers=numbers)


def _infra(node: str, artifact: ArtifactRecord, others: Mapping[str, ArtifactRecord]) -> GateRecord:
    report = read_json(others["taxiway.ServingReport"].uri) if "taxiway.ServingReport" in others else {}
    passed = artifact.properties.get("blessed") == 1
    reason = "" if passed else str(report.get("reason") or artifact.properties.get("reason") or "not blessed")
    changes = report.get("figures", {}).get("input_changes")
    numbers = _plain_numbers(report) | ({"input_changes": "; ".join(changes)} if changes else {})
    return GateRecord(gate=node, passed=passed, reason=reason, numbers=numbers)


def _plain_numbers(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if isinstance(value, (int, float)) and name != "version"}


_GATES: dict[str, Callable[[str, ArtifactRecord, Mapping[str, ArtifactRecord]], GateRecord]] = {
    "taxiway.Verdict": _verdict,
    "ModelBlessing": _blessing,
    "InfraBlessing": _infra,
}


def push(outputs: Sequence[ArtifactRecord], serving_dir: Path) -> PushRecord | None:
    """What the Pusher recorded, or None where the outputs are not a Pusher's.

    Args:
        outputs: What a node's execution wrote.
        serving_dir: Folder of the model's versions.
    """
    artifact = of_type(outputs, "PushedModel")
    if artifact is None:
        return None
    content = read_json(artifact.uri, "push.json")
    version = content.get("live_version") or _number(artifact.properties.get("pushed_version"))
    folder = servables.version_folders(serving_dir).get(version) if isinstance(version, int) else None
    stored = manifest.read_manifest(folder) if folder else None
    return PushRecord(
        pushed=artifact.properties.get("pushed") == 1,
        version=version,
        path=str(folder or ""),
        reason=str(artifact.properties.get("reason") or ""),
        already_live=stored is not None and stored.digest == content.get("digest"),
    )


def _number(text: Any) -> int | None:
    return int(text) if str(text).isdigit() else None


def evaluation(uri: str) -> tuple[MetricValues, ...]:
    """Every slice of a TFMA evaluation, the whole split first, then by name.

    Args:
        uri: Folder of a `ModelEvaluation` artifact.
    """
    found = (_slice(metrics) for metrics in evaluations.metrics(uri))
    slices = [values for values in found if values.candidate]  # TFMA names slices of too few rows, without metrics
    return tuple(sorted(slices, key=lambda values: (values.slice != OVERALL, values.slice)))


def _slice(metrics: Any) -> MetricValues:
    values: dict[str, dict[str, float | None]] = {"candidate": {}, "baseline": {}}
    classes: dict[str, dict[str, float | None]] = {}
    for item in metrics.metric_keys_and_values:
        if item.key.is_diff or item.key.HasField("sub_key"):
            continue
        whose = BASELINE if item.key.model_name == BASELINE else "candidate"
        single = _SINGLE_CLASS.fullmatch(item.key.name)
        if single is None:
            values[whose][item.key.name] = _metric_value(item.value)
        elif whose != BASELINE:
            classes.setdefault(single["name"], {})[single["kind"]] = _metric_value(item.value)
    counts = {field: values["candidate"].pop(name, None) for field, name in _COUNTS.items()}
    for name in _COUNTS.values():
        values["baseline"].pop(name, None)
    known = {field: int(count) for field, count in counts.items() if count is not None}
    return MetricValues(slice=slice_name(metrics.slice_key), **known, **values, classes=classes)


def slices(uri: str) -> dict[str, tuple[tuple[str, str, Any], ...]]:
    """Every slice of an evaluation by name: column, kind of the value, value; text where the value is bytes.

    Args:
        uri: Folder of a `ModelEvaluation` artifact.
    """
    keys = [metrics.slice_key for metrics in evaluations.metrics(uri)]
    return {slice_name(key): tuple(_condition(part) for part in key.single_slice_keys) for key in keys}


def _condition(part: Any) -> tuple[str, str, Any]:
    kind = part.WhichOneof("kind")
    value = getattr(part, kind)
    return part.column, kind, value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def slice_name(key: Any) -> str:
    """`overall`, or `payment_type=Cash`, several joined by a comma."""
    return ", ".join(f"{part.column}={_slice_value(part)}" for part in key.single_slice_keys) or OVERALL


def _slice_value(part: Any) -> str:
    kind = part.WhichOneof("kind")
    value = getattr(part, kind) if kind else ""
    return (
        value.decode("utf-8", "replace")
        if isinstance(value, bytes)
        else f"{value:g}"
        if kind == "float_value"
        else str(value)
    )


def _metric_value(value: Any) -> float | None:
    """A scalar metric; None for what is not defined (one class in the slice) or not a scalar."""
    kind = value.WhichOneof("type")
    if kind == "double_value":
        number = value.double_value.value
    elif kind == "bounded_value":
        number = value.bounded_value.value.value
    else:
        return None
    return number if math.isfinite(number) else None


def threshold_failures(uri: str) -> list[str]:
    """Sentences on the thresholds that an evaluation missed: metric, slice, value and bound."""
    result = evaluations.validation(uri)
    if result is None:
        return []
    too_few: list[str] = []
    failures: list[str] = []
    for part in sorted(result.metric_validations_per_slice, key=lambda part: slice_name(part.slice_key) != OVERALL):
        name = slice_name(part.slice_key)
        where = "" if name == OVERALL else f" in {name}"
        failures += [f"{_missed(failure)}{where}" for failure in part.failures if not _is_too_few(failure)]
        too_few += [_too_few(failure, uri) for failure in part.failures if _is_too_few(failure)]
    if not result.validation_ok and not result.validation_details.slicing_details:
        failures.append("no threshold is set, and TFMA blesses nothing without one: set evaluation.thresholds")
    failures += [f"no rows in the slice {_spec(spec)}, which has a threshold" for spec in result.missing_slices]
    remedy = "--force lifts this gate, not the others" if failures else "to push it all the same: --force"
    return [*(f"{sentence}; {remedy}" for sentence in too_few), *failures]


def _is_too_few(failure: Any) -> bool:
    return bool(failure.metric_key.name == JUDGED_ROWS)


def _too_few(failure: Any, uri: str) -> str:
    """That the evaluation rests on too few rows to prove anything, and of which class."""
    rows, wanted = int(_metric_value(failure.metric_value) or 0), failure.metric_threshold.value_threshold.lower_bound
    overall = next((values for values in evaluation(uri) if values.slice == OVERALL), MetricValues(slice=OVERALL))
    return (
        f"nothing was proved: {rows} evaluation row{'' if rows == 1 else 's'}{_of_class(overall, uri)}, at least "
        f"{wanted.value:g} wanted (gates.min_rows_per_class)"
    )


def _of_class(overall: MetricValues, uri: str) -> str:
    """` of class virginica`: the class that has the fewest rows; empty for a regression."""
    rows = {name: kinds["rows"] for name, kinds in overall.classes.items() if kinds.get("rows") is not None}
    if rows:
        return f" of class {min(rows, key=lambda name: rows[name] or 0)}"
    if overall.positives is not None:
        label = next((spec.get("labelKey", "") for spec in evaluations.config(uri).get("modelSpecs", ())), "")
        return f" of the {'positive' if overall.positives == overall.judged_rows else 'negative'} class of {label!r}"
    return "" if overall.judged_rows == overall.rows else " of the rarest class"


def judged(uri: str) -> dict[str, str]:
    """The metrics that have a threshold over all rows: the candidate's value, the baseline's, and what was asked."""
    overall = next((values for values in evaluation(uri) if values.slice == OVERALL), MetricValues(slice=OVERALL))
    found = {}
    for spec in evaluations.config(uri).get("metricsSpecs", ()):
        for metric in spec.get("metrics", ()):
            name = json.loads(metric.get("config") or "{}").get("name", metric.get("className"))
            bounds = [bound["threshold"] for bound in metric.get("perSliceThresholds", ()) if _is_overall(bound)]
            asked = [word for bound in bounds for word in _asked(bound)]
            if asked and name == JUDGED_ROWS:
                found["rows of the rarest class"] = f"{overall.judged_rows} ({', '.join(asked)})"
            elif asked:
                found[name] = f"{_shown(_value(overall, name))} ({', '.join(asked)})"
    return found


def _value(values: MetricValues, name: str) -> float | None:
    single = _SINGLE_CLASS.fullmatch(name)
    return values.classes.get(single["name"], {}).get(single["kind"]) if single else values.candidate.get(name)


def _is_overall(bound: Mapping[str, Any]) -> bool:
    return any(not spec.get("featureKeys") and not spec.get("featureValues") for spec in bound.get("slicingSpecs", ()))


def _asked(threshold: Mapping[str, Any]) -> list[str]:
    value, change = threshold.get("valueThreshold", {}), threshold.get("changeThreshold", {})
    words = [f"at least {value['lowerBound']:g}"] if "lowerBound" in value else []
    words += [f"at most {value['upperBound']:g}"] if "upperBound" in value else []
    if "absolute" in change:
        words.append(f"at worst {change['absolute']:+.4g} against the baseline")
    if "relative" in change:
        words.append(f"at worst {change['relative']:+.3g} times the baseline's")
    return words


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _missed(failure: Any) -> str:
    metric, value = failure.metric_key.name, _metric_value(failure.metric_value)
    if value is None:
        return f"{metric} could not be computed{': ' + failure.message if failure.message else ''}"
    threshold = failure.metric_threshold
    if threshold.HasField("change_threshold") and failure.metric_key.is_diff:
        change = threshold.change_threshold
        relative = f"{change.relative.value:+.3g} times the baseline's"
        allowed = relative if change.HasField("relative") else f"{change.absolute.value:+.4f}"
        return f"{metric} changed by {value:+.4f} against the baseline; allowed is {allowed}"
    bounds = threshold.value_threshold
    asked = [f"at least {bounds.lower_bound.value:g}"] if bounds.HasField("lower_bound") else []
    asked += [f"at most {bounds.upper_bound.value:g}"] if bounds.HasField("upper_bound") else []
    return f"{metric} is {value:.4f}; asked for is {' and '.join(asked) or 'another value'}"


def _spec(spec: Any) -> str:
    return ", ".join([*spec.feature_keys, *(f"{each.key}={each.value}" for each in spec.feature_values)]) or OVERALL


def variants(uri: str) -> tuple[VariantRecord, ...]:
    """The optimizer's variants from its report.

    Args:
        uri: Folder of a `taxiway.OptimizationReport` artifact.
    """
    report = optimizer_report.read(uri)
    batch_size = report.decision.batch_size
    return tuple(_variant(entry, batch_size, report.decision.chosen) for entry in report.variants)


def _variant(entry: optimizer_report.Variant, batch_size: int, chosen: str) -> VariantRecord:
    latency = entry.latency(batch_size)
    return VariantRecord(
        variant=entry.name,
        status=entry.status,
        reason=entry.reason or "; ".join(entry.rejected),
        chosen=entry.name == chosen,
        size_bytes=entry.size.bytes if entry.size else None,
        p50_ms=latency.p50_ms if latency else None,
        p99_ms=latency.p99_ms if latency else None,
        speedup=latency.speedup.value if latency else None,
        speedup_low=latency.speedup.low if latency else None,
        speedup_high=latency.speedup.high if latency else None,
        batch_size=batch_size,
        quality=entry.quality.value.value if entry.quality else None,
        output_error=entry.output_error.max if entry.output_error else None,
    )


def read_json(folder: str, name: str = "report.json") -> dict[str, Any]:
    """A JSON object from an artifact's folder; empty where there is none."""
    with contextlib.suppress(FileNotFoundError):
        content = json.loads(Path(folder, name).read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def of_type(artifacts: Iterable[ArtifactRecord], kind: str) -> ArtifactRecord | None:
    """The first artifact of a type."""
    return next((artifact for artifact in artifacts if artifact.type == kind), None)
