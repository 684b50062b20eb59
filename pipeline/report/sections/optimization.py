"""The variants of the model: what was measured, which was chosen, and why the others were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.printable_text import chart_label
from pipeline import output
from pipeline.report import charts
from pipeline.report.sections.common import Section
from pipeline.report.sources import RunSources


def optimization(sources: RunSources) -> Section:
    """The variants: Pareto plot, table, and why each was or was not chosen."""
    report = sources.json("ModelOptimizer", "report", "report.json")
    if not report.get("variants"):
        return None
    decision = report["decision"]
    batch = decision.get("batch_size") or 1
    reasons = dict(reason.split(": ", 1) for reason in decision.get("reasons", ()) if ": " in reason)
    variants = [_variant(each, batch, decision) for each in report["variants"]]
    names = {variant["name"] for variant in variants}
    for variant in variants:
        variant["why"] = variant["why"] or reasons.get(variant["name"], "")
    points = [each for each in variants if each["p50"] is not None and each["quality"] is not None]
    return {
        "decision": decision,
        "reasons": [text for text in decision.get("reasons", ()) if text.split(": ", 1)[0] not in names],
        "metric": report.get("metric", ""),
        "batch": batch,
        "variants": variants,
        "figures": [charts.pareto(points, report.get("metric", "quality"), batch)] if points else [],
        "method": report.get("environment", {}).get("method", ""),
    }


def _variant(entry: Mapping[str, Any], batch: int, decision: Mapping[str, Any]) -> dict[str, Any]:
    latency: Mapping[str, Any] = next(
        (x for x in entry.get("latencies", ()) if x["batch_size"] == batch and x["path"] == "whole"), {}
    )
    quality = (entry.get("quality") or {}).get("value") or {}
    speed = latency.get("speedup") or {}
    low, high = quality.get("low"), quality.get("high")
    size = (entry.get("size") or {}).get("bytes")
    words = f"{chart_label(entry['name'])}<br>{latency.get('p50_ms', 0):.3f} ms, {output.size(size)}"
    return {
        "name": entry["name"],
        "chosen": entry["name"] == decision.get("chosen"),
        "front": entry["name"] in decision.get("pareto", ()),
        "status": entry["status"],
        "why": entry.get("reason") or "; ".join(entry.get("rejected", ())),
        "size": size,
        "size_text": output.size(size),
        "p50": latency.get("p50_ms"),
        "p99": latency.get("p99_ms"),
        "speed": f"{speed['value']:.2f}x [{speed['low']:.2f}, {speed['high']:.2f}]" if speed.get("low") else "–",
        "quality": quality.get("value"),
        "error": 0 if low is None or high is None else (high - low) / 2,
        "output_error": (entry.get("output_error") or {}).get("max"),
        "checks": [check["detail"] for check in entry.get("checks", ())],
        "words": words,
    }
