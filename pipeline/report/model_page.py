"""The report page of `taxiway optimize`: one SavedModel, its variants, where it was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from taxiway.components.optimizer.report import OptimizerReport
from taxiway.components.optimizer.techniques import REFERENCE
from taxiway.pipeline.console import printing
from taxiway.pipeline.report.build import render_page, write_page
from taxiway.pipeline.report.sections.common import Section
from taxiway.pipeline.report.sections.optimization import describe_variants


def write_model_page(report: OptimizerReport, path: Path) -> Path:
    """Writes the page of an optimizer's report and returns its path.

    Raises:
        StoreError: The file cannot be written.
    """
    content = report.model_dump(mode="json")
    makers = {
        "optimization": lambda: describe_variants(content),
        "environment": lambda: _describe_environment(report),
    }
    return write_page(path, render_page(_describe_outcome(report), makers))


def _describe_outcome(report: OptimizerReport) -> dict[str, Any]:
    decision = report.decision
    found = decision.chosen != REFERENCE or report.config.keep_reference
    return {
        "model": report.job.given.name if report.job.given else "",
        "run_id": "",
        "state": "done" if found else "blocked",
        "words": f"Chosen: {decision.chosen}" if found else "No variant may be served",
        "reason": decision.reasons[0] if decision.reasons else "",
        "started": "",
        "seconds": printing.format_seconds(report.seconds),
        "figures": _list_figures(report),
    }


def _list_figures(report: OptimizerReport) -> list[tuple[str, str, str]]:
    chosen = report.find_variant(report.decision.chosen)
    latency = chosen.find_deciding_latency(report.decision.batch_size)
    figures = []
    if latency and latency.speedup.value:
        interval = f"{latency.speedup.low or 0:.2f} to {latency.speedup.high or 0:.2f}"
        figures.append(("as fast", f"{latency.speedup.value:.2f}x", f"{interval}, batch {report.decision.batch_size}"))
    if chosen.size:
        size = f"{chosen.size.ratio:.2f} times smaller" if chosen.size.ratio else ""
        figures.append(("size", printing.format_bytes(chosen.size.bytes), size))
    if chosen.quality and chosen.quality.value.value is not None:
        figures.append((report.metric, f"{chosen.quality.value.value:.4f}", f"{chosen.quality.rows:,} rows"))
    return figures


def _describe_environment(report: OptimizerReport) -> Section:
    environment = report.environment
    names = ("cpu", "cores", "threads", "gpu", "platform")
    return {
        "versions": [("tensorflow", environment.tensorflow), ("python", environment.python)],
        "machine": [(name, str(getattr(environment, name))) for name in names],
        "config": yaml.safe_dump(report.job.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        "code": [],
    }
