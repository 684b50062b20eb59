"""Starts the serving validation in a process of its own. Imports no TensorFlow; the child is `trying`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components import subprocesses
from components.errors import ServingError
from components.serving.verdict import Finding, ServingReport


def run(job: dict[str, Any], log: str | Path, timeout_seconds: float) -> dict[str, Any]:
    """Runs the job of `validate` and returns the report; a process that died is a verdict too.

    Raises:
        TaxiwayError: The job could not be judged.
    """
    outcome = subprocesses.run("components.serving.trying", job, log, timeout_seconds=timeout_seconds)
    if outcome.result is not None:
        return outcome.result
    if "class" in outcome.details:
        subprocesses.raise_again(outcome, ServingError)
    report = ServingReport("", [Finding("serving process", False, f"the candidate ended its server: {outcome.error}")])
    return report.to_json()
