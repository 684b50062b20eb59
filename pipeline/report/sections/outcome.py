"""The outcome on top of the page, and the section of the nodes and gates."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from taxiway.components.saved_models import model_versions
from taxiway.pipeline.console import printing
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section, format_report_value
from taxiway.pipeline.report.sections.data import count_split_rows
from taxiway.pipeline.report.words import name_key

WORDS = {
    "live": "Live",
    "done": "Done, nothing pushed",
    "blocked": "Blocked",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "running": "Running",
}


def describe_outcome(run_data: RunData) -> dict[str, Any]:
    """How the run ended, by which gate, and its key figures."""
    run = run_data.run
    return {
        "model": run.model or "run",
        "run_id": run.run_id,
        "state": "done" if run.state == "live" and not is_still_live(run_data) else run.state,
        "words": _describe_state(run_data),
        "now": _describe_live_version(run_data),
        "written": printing.format_time(time.time()),
        "reason": run.reason,
        "resume": run.resume,
        "log": run.log,
        "started": printing.format_time(run.started),
        "seconds": printing.format_seconds(run.seconds),
        "command": " ".join(("taxiway", *run.command)) if run.command else "",
        "figures": _list_key_figures(run_data),
    }


def _describe_state(run_data: RunData) -> str:
    run, push = run_data.run, run_data.run.push
    if run.state == "done" and push and push.candidate:
        return f"A candidate ({push.candidate}): version {push.version}"
    if run.state != "live" or push is None:
        return WORDS[run.state]
    if not is_still_live(run_data):
        return f"Pushed: version {push.version}"
    return f"Live: version {push.version}" if push.pushed else "Live already: the same model"


def is_still_live(run_data: RunData) -> bool:
    """Whether the version that a run made, or found live already, is the live one; of a run without a serving directory
    here, such as one on a cluster, what its record says."""
    push, live = run_data.run.push, _find_live_number(run_data)
    return push is not None and push.is_live and live in (None, push.version)


def _find_live_number(run_data: RunData) -> int | None:
    live = model_versions.find_live_version(run_data.root.serving / run_data.run.model) if run_data.run.model else None
    return live[0] if live else None


def _describe_live_version(run_data: RunData) -> str:
    """Which version is live instead of the one that the run made; empty where it still is, or made none."""
    push = run_data.run.push
    if push is None or not push.is_live or is_still_live(run_data):
        return ""
    return f"Live now: version {_find_live_number(run_data)}."


def _list_key_figures(run_data: RunData) -> list[tuple[str, str, str]]:
    """Name, value and note of each key figure."""
    run, figures = run_data.run, []
    trained = run.find_overall("Evaluator")
    value = run.main_value()
    if value is not None:
        was = trained.baseline.get(run.main_metric) if trained else None
        figures.append(
            (name_key(run.main_metric), f"{value:.4f}", f"{was:.4f} is the baseline's" if was is not None else "")
        )
    if run_data.statistics:
        rows = dict(count_split_rows(run_data))
        figures.append(
            ("rows", f"{sum(rows.values()):,}", ", ".join(f"{name} {count:,}" for name, count in rows.items()))
        )
    chosen = next((variant for variant in run.variants if variant.chosen), None)
    if chosen:
        speed = f"{chosen.speedup:.2f}x as fast as trained" if chosen.speedup else ""
        figures.append(("variant", chosen.variant, speed))
        figures.append(
            ("size", printing.format_bytes(chosen.size_bytes), f"p50 {chosen.p50_ms:.2f} ms" if chosen.p50_ms else "")
        )
    return figures


def describe_nodes(run_data: RunData) -> Section:
    """The nodes in data order, with states and times; the gates with their numbers."""
    run = run_data.run
    longest = max((node.seconds or 0.0 for node in run.nodes), default=0.0) or 1.0
    nodes = [
        {
            "name": node.node,
            "state": node.state,
            "seconds": ""
            if node.seconds is None or node.state in ("skipped", "cached")
            else printing.format_seconds(node.seconds),
            "share": 0.0 if node.state == "cached" else (node.seconds or 0.0) / longest,
            "memory": f"{node.peak_memory_mb:,.0f} MB" if node.peak_memory_mb and node.state == "done" else "",
            "reason": node.reason,
        }
        for node in run.nodes
    ]
    gates = [
        {"name": g.gate, "passed": g.passed, "reason": g.reason, "numbers": _format_numbers(g.numbers)}
        for g in run.gates
    ]
    return {"nodes": nodes, "gates": gates} if nodes else None


def _format_numbers(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name_key(name), format_report_value(value))
        for name, value in numbers.items()
        if name not in ("findings", "failures")
    ]
