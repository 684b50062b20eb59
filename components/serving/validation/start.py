"""Starts the serving validation in a process of its own. Imports no TensorFlow; the process runs `child`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taxiway.components.errors import ServingError
from taxiway.components.processes import subprocesses
from taxiway.components.serving.validation.comparison import ServingFinding, ServingValidationReport


def run_validation(job: dict[str, Any], log: str | Path, timeout_seconds: float) -> dict[str, Any]:
    """Runs the job of `validate_candidate` and returns the report. A process that died is a verdict, too.

    Raises:
        TaxiwayError: The job could not be judged.
    """
    outcome = subprocesses.run_module(
        "taxiway.components.serving.validation.child", job, log, timeout_seconds=timeout_seconds
    )
    if outcome.result is not None:
        return outcome.result
    if "class" in outcome.details:
        subprocesses.raise_child_error(outcome, ServingError)
    report = ServingValidationReport(
        "", [ServingFinding("serving process", False, f"the candidate ended its server: {outcome.error}")]
    )
    return report.to_json()
