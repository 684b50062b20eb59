"""Reads the results of a run from the artifacts that its nodes wrote: gates, metrics, variants, the push.

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

from taxiway.components.contract import LOWER_IS_BETTER, is_bound
from taxiway.components.evaluation.config import (
    JUDGED_ROWS,
    POSITIVES,
    name_slice_bound,
    strip_drop_bound,
    strip_slice_bound,
)
from taxiway.components.files.versioned_report import PUSH_REPORT, SERVING_REPORT, ReportFormat
from taxiway.components.gates.verdict import VerdictRecord
from taxiway.components.optimizer.report import OptimizerReport, Variant, read_report
from taxiway.components.saved_models import manifest, model_versions
from taxiway.components.text.lists import join_first
from taxiway.pipeline.tracking import tfma_files
from taxiway.pipeline.tracking.run_record import OVERALL, GateRecord, MetricValues, PushRecord, VariantRecord
from taxiway.pipeline.tracking.store.metadata_store import StoredArtifact

BASELINE = "baseline"
_COUNTS = {"rows": "example_count", "positives": POSITIVES, "judged_rows": JUDGED_ROWS}
"""By field of `MetricValues`: what counts rows and is no metric."""
RESULT_FILES: dict[str, tuple[str, ...]] = {
    "taxiway.Verdict": ("verdict.json",),
    "ModelEvaluation": ("metrics*", "validations*", "eval_config.json"),
    "taxiway.OptimizationReport": ("report.json",),
    "taxiway.ServingReport": ("report.json",),
    "PushedModel": ("push.json",),
}
"""By type of artifact: the files that hold its results."""
_SINGLE_CLASS = re.compile(r"(?P<kind>[a-z0-9]+)\[(?P<name>.*)\]", re.DOTALL)
UNDECIDED = "too few rows to decide"
"""Of slices: the number of a gate that names them."""
UNTOLD = "it did not pass; its files are not on this machine"


def read_gate(node: str, outputs: Sequence[StoredArtifact]) -> GateRecord | None:
    """What a node decided, if it is a gate; None for the others.

    Args:
        node: Id of the node.
        outputs: Artifacts that its execution wrote.
    """
    for artifact in outputs:
        read = _GATES.get(artifact.type)
        if read:
            return read(node, artifact, {other.type: other for other in outputs})
    return None


def read_gate_properties(node: str, outputs: Sequence[StoredArtifact]) -> GateRecord | None:
    """What a gate decided, from its artifact's properties alone: for files that are not on this machine."""
    for artifact in outputs:
        if artifact.type in _GATES:
            properties = artifact.properties
            passed = properties.get("passed" if artifact.type == "taxiway.Verdict" else "blessed") == 1
            return GateRecord(
                gate=node, passed=passed, reason=str(properties.get("reason") or ("" if passed else UNTOLD))
            )
    return None


def _read_verdict(node: str, artifact: StoredArtifact, _: Mapping[str, StoredArtifact]) -> GateRecord:
    record = VerdictRecord.read_verdict(artifact.uri)
    findings = [finding.model_dump(exclude_defaults=True) for finding in record.findings]
    numbers = {**record.numbers, **({"findings": findings} if findings else {})}
    return GateRecord(gate=node, passed=record.passed, reason=record.reason, numbers=numbers)


def _read_blessing(node: str, artifact: StoredArtifact, others: Mapping[str, StoredArtifact]) -> GateRecord:
    passed = artifact.properties.get("blessed") == 1
    evaluation = others.get("ModelEvaluation")
    failures = describe_threshold_failures(evaluation.uri) if evaluation and not passed else []
    reason = "" if passed else "; ".join(failures[:3]) or "the evaluator did not bless the model"
    if len(failures) > 3:
        reason += f" (and {len(failures) - 3} more)"
    undecided = read_undecided_slices(evaluation.uri) if evaluation else []
    numbers = {
        **(read_judged_metrics(evaluation.uri) if evaluation else {}),
        **({"failures": failures} if failures else {}),
        **({UNDECIDED: join_first(undecided, 5)} if undecided else {}),
    }
    return GateRecord(gate=node, passed=passed, reason=reason, numbers=numbers)


def _read_infra_blessing(node: str, artifact: StoredArtifact, others: Mapping[str, StoredArtifact]) -> GateRecord:
    report = read_json(SERVING_REPORT, others["taxiway.ServingReport"].uri) if "taxiway.ServingReport" in others else {}
    passed = artifact.properties.get("blessed") == 1
    reason = "" if passed else str(report.get("reason") or artifact.properties.get("reason") or "not blessed")
    changes = report.get("figures", {}).get("input_changes")
    numbers = _select_numbers(report) | ({"input_changes": "; ".join(changes)} if changes else {})
    return GateRecord(gate=node, passed=passed, reason=reason, numbers=numbers)


def _select_numbers(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if isinstance(value, (int, float)) and name != "version"}


_GATES: dict[str, Callable[[str, StoredArtifact, Mapping[str, StoredArtifact]], GateRecord]] = {
    "taxiway.Verdict": _read_verdict,
    "ModelBlessing": _read_blessing,
    "InfraBlessing": _read_infra_blessing,
}


def read_push(outputs: Sequence[StoredArtifact], serving_dir: Path) -> PushRecord | None:
    """What the Pusher recorded, or None where the outputs are not a Pusher's.

    Args:
        outputs: Artifacts that a node's execution wrote.
        serving_dir: Folder of the model's versions.
    """
    artifact = find_artifact(outputs, "PushedModel")
    return (
        _make_push_record(artifact, read_json(PUSH_REPORT, artifact.uri, "push.json"), serving_dir)
        if artifact
        else None
    )


def read_push_properties(outputs: Sequence[StoredArtifact], serving_dir: Path) -> PushRecord | None:
    """As `read_push`, from the artifact's properties alone: for a file that cannot be read."""
    artifact = find_artifact(outputs, "PushedModel")
    return _make_push_record(artifact, {}, serving_dir) if artifact else None


def _make_push_record(artifact: StoredArtifact, content: Mapping[str, Any], serving_dir: Path) -> PushRecord:
    version = content.get("live_version") or _parse_version(artifact.properties.get("pushed_version"))
    folder = model_versions.list_version_folders(serving_dir).get(version) if isinstance(version, int) else None
    stored = manifest.read_manifest(folder) if folder else None
    return PushRecord(
        pushed=artifact.properties.get("pushed") == 1,
        candidate=str(content.get("candidate") or artifact.properties.get("candidate") or ""),
        version=version,
        path=str(folder or ""),
        reason=str(artifact.properties.get("reason") or ""),
        already_live=stored is not None and stored.digest == content.get("digest"),
    )


def _parse_version(text: Any) -> int | None:
    return int(text) if str(text).isdigit() else None


def read_evaluation(uri: str) -> tuple[MetricValues, ...]:
    """Every slice of a TFMA evaluation, the whole split first, then by name.

    Args:
        uri: Folder of a `ModelEvaluation` artifact.
    """
    all_slices = (_read_slice(metrics) for metrics in tfma_files.read_metrics(uri))
    slices = [values for values in all_slices if values.candidate]  # TFMA names slices of too few rows, without metrics
    return tuple(sorted(slices, key=lambda values: (values.slice != OVERALL, values.slice)))


def _read_slice(metrics: Any) -> MetricValues:
    values: dict[str, dict[str, float | None]] = {"candidate": {}, "baseline": {}}
    classes: dict[str, dict[str, float | None]] = {}
    for item in metrics.metric_keys_and_values:
        if item.key.is_diff or item.key.HasField("sub_key") or is_bound(item.key.name):
            continue
        whose = BASELINE if item.key.model_name == BASELINE else "candidate"
        single = _SINGLE_CLASS.fullmatch(item.key.name)
        if single is None:
            values[whose][item.key.name] = _read_metric_value(item.value)
        elif whose != BASELINE:
            classes.setdefault(single["name"], {})[single["kind"]] = _read_metric_value(item.value)
    counts = {field: values["candidate"].pop(name, None) for field, name in _COUNTS.items()}
    for name in _COUNTS.values():
        values["baseline"].pop(name, None)
    row_counts = {field: int(count) for field, count in counts.items() if count is not None}
    return MetricValues(slice=format_slice(metrics.slice_key), **row_counts, **values, classes=classes)


def read_slices(uri: str) -> dict[str, tuple[tuple[str, str, Any], ...]]:
    """Every slice of an evaluation by name: column, kind of the value, value; text where the value is bytes.

    Args:
        uri: Folder of a `ModelEvaluation` artifact.
    """
    keys = [metrics.slice_key for metrics in tfma_files.read_metrics(uri)]
    return {format_slice(key): tuple(_read_condition(part) for part in key.single_slice_keys) for key in keys}


def _read_condition(part: Any) -> tuple[str, str, Any]:
    kind = part.WhichOneof("kind")
    value = getattr(part, kind)
    return part.column, kind, value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def format_slice(key: Any) -> str:
    """`overall`, or `payment_type=Cash`, several joined by a comma."""
    return ", ".join(f"{part.column}={_format_slice_value(part)}" for part in key.single_slice_keys) or OVERALL


def _format_slice_value(part: Any) -> str:
    kind = part.WhichOneof("kind")
    value = getattr(part, kind) if kind else ""
    return (
        value.decode("utf-8", "replace")
        if isinstance(value, bytes)
        else f"{value:g}"
        if kind == "float_value"
        else str(value)
    )


def _read_metric_value(value: Any) -> float | None:
    """A scalar metric; None for what is not defined (one class in the slice) or not a scalar."""
    kind = value.WhichOneof("type")
    if kind == "double_value":
        number = value.double_value.value
    elif kind == "bounded_value":
        number = value.bounded_value.value.value
    else:
        return None
    return number if math.isfinite(number) else None


def describe_threshold_failures(uri: str) -> list[str]:
    """Sentences on the thresholds that an evaluation missed: metric, slice, value and bound."""
    result = tfma_files.read_validation(uri)
    if result is None:
        return []
    too_few: list[str] = []
    failures: list[str] = []
    for part in sorted(result.metric_validations_per_slice, key=lambda part: format_slice(part.slice_key) != OVERALL):
        name = format_slice(part.slice_key)
        where = "" if name == OVERALL else f" in {name}"
        failures += [f"{_describe_failure(failure)}{where}" for failure in part.failures if not _is_too_few(failure)]
        too_few += [_describe_too_few(failure, uri) for failure in part.failures if _is_too_few(failure)]
    if not result.validation_ok and not result.validation_details.slicing_details:
        failures.append("no threshold is set, and TFMA blesses nothing without one: set evaluation.thresholds")
    failures += [
        f"no rows in the slice {_describe_missing_slice(spec)}, which has a threshold" for spec in result.missing_slices
    ]
    remedy = "--force lifts this gate, not the others" if failures else "to push it all the same: --force"
    return [*(f"{sentence}; {remedy}" for sentence in too_few), *failures]


def _is_too_few(failure: Any) -> bool:
    return bool(failure.metric_key.name == JUDGED_ROWS)


def _describe_too_few(failure: Any, uri: str) -> str:
    """That the evaluation rests on too few rows to prove anything, and of which class."""
    rows, wanted = (
        int(_read_metric_value(failure.metric_value) or 0),
        failure.metric_threshold.value_threshold.lower_bound,
    )
    overall = next((values for values in read_evaluation(uri) if values.slice == OVERALL), MetricValues(slice=OVERALL))
    return (
        f"nothing was proved: {rows} evaluation "
        f"row{'' if rows == 1 else 's'}{_name_rarest_class(overall, uri)}, at least "
        f"{wanted.value:g} wanted (gates.min_rows_per_class)"
    )


def _name_rarest_class(overall: MetricValues, uri: str) -> str:
    """` of class virginica`: the class that has the fewest rows; empty for a regression."""
    rows = {name: kinds["rows"] for name, kinds in overall.classes.items() if kinds.get("rows") is not None}
    if rows:
        return f" of class {min(rows, key=lambda name: rows[name] or 0)}"
    if overall.positives is not None:
        label = next((spec.get("labelKey", "") for spec in tfma_files.read_eval_config(uri).get("modelSpecs", ())), "")
        return f" of the {'positive' if overall.positives == overall.judged_rows else 'negative'} class of {label!r}"
    return "" if overall.judged_rows == overall.rows else " of the rarest class"


def read_judged_metrics(uri: str) -> dict[str, str]:
    """The metrics that have a threshold over all rows: the candidate's value, the baseline's, and what was asked."""
    found = next((each for each in tfma_files.read_metrics(uri) if format_slice(each.slice_key) == OVERALL), None)
    overall = _read_slice(found) if found else MetricValues(slice=OVERALL)
    judged, drops = {}, _read_drops(found) if found else {}
    for spec in tfma_files.read_eval_config(uri).get("metricsSpecs", ()):
        for metric in spec.get("metrics", ()):
            name = json.loads(metric.get("config") or "{}").get("name", metric.get("className"))
            bounds = [bound["threshold"] for bound in metric.get("perSliceThresholds", ()) if _is_overall(bound)]
            limits = [word for bound in bounds for word in _describe_bounds(bound)]
            if limits and name == JUDGED_ROWS:
                judged["rows of the rarest class"] = f"{overall.judged_rows} ({', '.join(limits)})"
            elif limits and (dropped := strip_drop_bound(name)):
                share = _name_share(dropped)
                drop = drops.get(name)
                shown = "too few rows for an interval" if drop == -math.inf else f"{_format_drop(drop)}{share}"
                judged[f"{dropped} worse by up to"] = f"{shown} ({', '.join(limits)})"
            elif limits:
                name = strip_slice_bound(name) or name
                judged[name] = f"{_format_metric_value(_find_metric(overall, name))} ({', '.join(limits)})"
    return judged


def _read_drops(metrics: Any) -> dict[str, float]:
    """By the bound's name: how much worse the candidate may be in a slice (`evaluation.drop_bounds`)."""
    return {
        item.key.name: item.value.double_value.value
        for item in metrics.metric_keys_and_values
        if strip_drop_bound(item.key.name) and not item.key.is_diff and item.key.model_name != BASELINE
    }


def _name_share(metric: str) -> str:
    return " of the baseline's" if metric in LOWER_IS_BETTER else ""


def _format_drop(value: float | None) -> str:
    return "an unknown amount" if value is None or not math.isfinite(value) else f"{value:.5f}"


def read_undecided_slices(uri: str) -> list[str]:
    """The slices, `overall` among them, of too few rows for a threshold that is asked of them, by name: their bounded
    metric is not the shown one (`taxiway.components.evaluation.slice_bounds`)."""
    return sorted(format_slice(metrics.slice_key) for metrics in tfma_files.read_metrics(uri) if _is_undecided(metrics))


def _is_undecided(metrics: Any) -> bool:
    values = {
        item.key.name: _read_metric_value(item.value)
        for item in metrics.metric_keys_and_values
        if not item.key.is_diff and item.key.model_name != BASELINE
    }
    columns = [part.column for part in metrics.slice_key.single_slice_keys]
    bounds = {metric: name_slice_bound(metric, columns) for metric in values}
    return any(name in values and values[name] != values[metric] for metric, name in bounds.items())


def _find_metric(values: MetricValues, name: str) -> float | None:
    single = _SINGLE_CLASS.fullmatch(name)
    return values.classes.get(single["name"], {}).get(single["kind"]) if single else values.candidate.get(name)


def _is_overall(bound: Mapping[str, Any]) -> bool:
    return any(not spec.get("featureKeys") and not spec.get("featureValues") for spec in bound.get("slicingSpecs", ()))


def _describe_bounds(threshold: Mapping[str, Any]) -> list[str]:
    value, change = threshold.get("valueThreshold", {}), threshold.get("changeThreshold", {})
    words = _describe_limits(value.get("lowerBound"), value.get("upperBound"))
    if "absolute" in change:
        words.append(f"at worst {change['absolute']:+.4g} against the baseline")
    if "relative" in change:
        words.append(f"at worst {_describe_relative_change(change['relative'])}")
    return words


def _describe_limits(lower: float | None, upper: float | None) -> list[str]:
    words = [] if lower is None else [f"at least {lower:g}"]
    return words if upper is None else [*words, f"at most {upper:g}"]


def _describe_relative_change(change: float) -> str:
    return f"{change:+.3g} times the baseline's"


def _format_metric_value(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _describe_failure(failure: Any) -> str:
    name, value = failure.metric_key.name, _read_metric_value(failure.metric_value)
    metric = strip_slice_bound(name) or name
    if dropped := strip_drop_bound(name):
        allowed = failure.metric_threshold.value_threshold.upper_bound.value
        return (
            f"{dropped} may be worse by {_format_drop(value)}{_name_share(dropped)}, at the bad end of the 95 % "
            f"interval of the paired difference; allowed is {allowed:g}"
        )
    if value is None:
        return f"{metric} could not be computed{': ' + failure.message if failure.message else ''}"
    threshold = failure.metric_threshold
    if threshold.HasField("change_threshold") and failure.metric_key.is_diff:
        change = threshold.change_threshold
        relative = _describe_relative_change(change.relative.value)
        allowed = relative if change.HasField("relative") else f"{change.absolute.value:+.4f}"
        return f"{metric} changed by {value:+.4f} against the baseline; allowed is {allowed}"
    bounds = threshold.value_threshold
    limits = (getattr(bounds, name).value if bounds.HasField(name) else None for name in ("lower_bound", "upper_bound"))
    limit_words = _describe_limits(*limits)
    return f"{metric} is {value:.4f}; asked for is {' and '.join(limit_words) or 'another value'}"


def _describe_missing_slice(spec: Any) -> str:
    return ", ".join([*spec.feature_keys, *(f"{each.key}={each.value}" for each in spec.feature_values)]) or OVERALL


def read_variants(uri: str) -> tuple[VariantRecord, ...]:
    """The optimizer's variants from its report.

    Args:
        uri: Folder of a `taxiway.OptimizationReport` artifact.
    """
    return make_variant_records(read_report(uri))


def make_variant_records(report: OptimizerReport) -> tuple[VariantRecord, ...]:
    """The variants of an optimizer's report, as a run's record has them."""
    batch_size = report.decision.batch_size
    return tuple(_make_variant_record(entry, batch_size, report.decision.chosen) for entry in report.variants)


def _make_variant_record(entry: Variant, batch_size: int, chosen: str) -> VariantRecord:
    latency = entry.find_latency(batch_size)
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


def read_json(report: ReportFormat, folder: str, name: str = "report.json") -> dict[str, Any]:
    """A JSON object from an artifact's folder; empty where there is none.

    Raises:
        TaxiwayError: It has another format version.
    """
    with contextlib.suppress(FileNotFoundError):
        content = report.read_report(Path(folder, name))
        return content if isinstance(content, dict) else {}
    return {}


def find_artifact(artifacts: Iterable[StoredArtifact], kind: str) -> StoredArtifact | None:
    """The first artifact of a type."""
    return next((artifact for artifact in artifacts if artifact.type == kind), None)
