"""The verdict on top, and the way of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline import output
from pipeline.report.sections.common import Section, overall, short
from pipeline.report.sources import RunSources

WORDS = {
    "live": "Live",
    "done": "Done, nothing pushed",
    "blocked": "Blocked",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "running": "Running",
}


def head(sources: RunSources) -> dict[str, Any]:
    """The verdict: how the run ended, by which gate, and the figures that people ask for first."""
    run = sources.run
    push = run.push
    words = WORDS[run.state]
    if run.state == "live" and push:
        words = f"Live: version {push.version}" if push.pushed else "Live already: the same model"
    return {
        "model": run.model or "run",
        "run_id": run.run_id,
        "state": run.state,
        "words": words,
        "reason": run.reason,
        "resume": run.resume,
        "log": run.log,
        "started": output.moment(run.started),
        "seconds": output.seconds(run.seconds),
        "command": " ".join(("taxiway", *run.command)) if run.command else "",
        "figures": _figures(sources),
    }


def _figures(sources: RunSources) -> list[tuple[str, str, str]]:
    """Name, value and note of each."""
    run, found = sources.run, []
    trained = overall(run, "Evaluator")
    value = run.main_value()
    if value is not None:
        was = trained.baseline.get(run.main_metric) if trained else None
        found.append((run.main_metric, f"{value:.4f}", f"{was:.4f} is the baseline's" if was is not None else ""))
    if sources.statistics:
        rows = {name: split.rows for name, split in sources.statistics.items()}
        found.append(
            ("rows", f"{sum(rows.values()):,}", ", ".join(f"{name} {count:,}" for name, count in rows.items()))
        )
    chosen = next((variant for variant in run.variants if variant.chosen), None)
    if chosen:
        speed = f"{chosen.speedup:.2f}x as fast as trained" if chosen.speedup else ""
        found.append(("variant", chosen.variant, speed))
        found.append(("size", output.size(chosen.size_bytes), f"p50 {chosen.p50_ms:.2f} ms" if chosen.p50_ms else ""))
    return found


def way(sources: RunSources) -> Section:
    """The nodes in data order, with states and times; the gates with their numbers."""
    run = sources.run
    longest = max((node.seconds or 0.0 for node in run.nodes), default=0.0) or 1.0
    nodes = [
        {
            "name": node.node,
            "state": node.state,
            "seconds": ""
            if node.seconds is None or node.state in ("skipped", "cached")
            else output.seconds(node.seconds),
            "share": 0.0 if node.state == "cached" else (node.seconds or 0.0) / longest,
            "memory": f"{node.peak_memory_mb:,.0f} MB" if node.peak_memory_mb and node.state == "done" else "",
            "reason": node.reason,
        }
        for node in run.nodes
    ]
    gates = [
        {"name": g.gate, "passed": g.passed, "reason": g.reason, "numbers": _numbers(g.numbers)} for g in run.gates
    ]
    return {"nodes": nodes, "gates": gates} if nodes else None


def _numbers(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, short(value)) for name, value in numbers.items() if name not in ("findings", "failures")]
