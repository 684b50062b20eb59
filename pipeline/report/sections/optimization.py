"""The variants of the model: what was measured, which was chosen, and why the others were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taxiway.components.files.versioned_report import OPTIMIZATION_REPORT
from taxiway.components.text.printable import escape_chart_label
from taxiway.pipeline.console import printing
from taxiway.pipeline.report import charts
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section
from taxiway.pipeline.report.words import name_key


def describe_optimization(run_data: RunData) -> Section:
    """The variants: Pareto plot, table, and why each was or was not chosen."""
    return describe_variants(run_data.read_json(OPTIMIZATION_REPORT, "ModelOptimizer", "report", "report.json"))


def describe_variants(report: Mapping[str, Any]) -> Section:
    """The same of an optimizer's report as JSON; None where it is empty."""
    if not report.get("variants"):
        return None
    decision = report["decision"]
    batch = decision.get("batch_size") or 1
    reasons = dict(reason.split(": ", 1) for reason in decision.get("reasons", ()) if ": " in reason)
    variants = [_describe_variant(each, batch, decision) for each in report["variants"]]
    names = {variant["name"] for variant in variants}
    for variant in variants:
        variant["why"] = variant["why"] or reasons.get(variant["name"], "")
    points = [each for each in variants if each["p50"] is not None and each["quality"] is not None]
    metric = report.get("metric", "quality")
    return {
        "decision": decision,
        "reasons": [text for text in decision.get("reasons", ()) if text.split(": ", 1)[0] not in names],
        "metric": name_key(report.get("metric", "")),
        "batch": batch,
        "variants": variants,
        "figures": charts.draw_variants(points, metric, name_key(metric), batch) if points else [],
        "rows": report.get("rows", ""),
        "outputs": [{"variant": each["name"], **output} for each in report["variants"] for output in each["agreement"]]
        if report.get("rows")
        else [],
        "method": report.get("environment", {}).get("method", ""),
    }


def _describe_variant(entry: Mapping[str, Any], batch: int, decision: Mapping[str, Any]) -> dict[str, Any]:
    latency: Mapping[str, Any] = next(
        (x for x in entry.get("latencies", ()) if x["batch_size"] == batch and x["path"] == "whole"), {}
    )
    quality = (entry.get("quality") or {}).get("value") or {}
    speed = latency.get("speedup") or {}
    low, high = quality.get("low"), quality.get("high")
    size = (entry.get("size") or {}).get("bytes")
    words = f"{escape_chart_label(entry['name'])}<br>{latency.get('p50_ms', 0):.3f} ms, {printing.format_bytes(size)}"
    return {
        "name": entry["name"],
        "chosen": entry["name"] == decision.get("chosen"),
        "front": entry["name"] in decision.get("pareto", ()),
        "status": entry["status"],
        "why": entry.get("reason") or "; ".join(entry.get("rejected", ())),
        "size": size,
        "size_text": printing.format_bytes(size),
        "p50": latency.get("p50_ms"),
        "p99": latency.get("p99_ms"),
        "speed": f"{speed['value']:.2f}x [{speed['low']:.2f}, {speed['high']:.2f}]" if speed.get("low") else "–",
        "quality": quality.get("value"),
        "limits": None if low is None or high is None else (low, high),
        "faster": speed.get("value"),
        "faster_limits": (speed["low"], speed["high"]) if speed.get("low") else None,
        "output_error": (entry.get("output_error") or {}).get("max"),
        "checks": [check["detail"] for check in entry.get("checks", ())],
        "words": words,
    }
