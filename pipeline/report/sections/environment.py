"""Versions of packages, machine, configuration and code of the run."""

from __future__ import annotations

import yaml

from taxiway.components.files.versioned_report import OPTIMIZATION_REPORT
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section

MACHINE = ("cpu", "cores", "gpu")
RECORDED = ("platform", "python")
"""What the optimizer's report tells of a run whose record has no versions."""


def describe_environment(run_data: RunData) -> Section:
    """Versions of what ran, as its record has them, and the whole configuration."""
    recorded = run_data.run.environment
    config = yaml.safe_dump(run_data.config, sort_keys=False, allow_unicode=True) if run_data.config else ""
    measured = run_data.read_json(OPTIMIZATION_REPORT, "ModelOptimizer", "report", "report.json").get("environment", {})
    names = MACHINE if recorded else MACHINE + RECORDED
    return {
        "versions": list(recorded.to_table().items()) if recorded else [],
        "machine": [(name, str(measured[name])) for name in names if name in measured],
        "config": config,
        "code": list(run_data.code.items()),
    }
