"""A servable made once, and the optimizer run on it, in processes of their own: tests start no TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components import subprocesses
from components.optimizer import report
from components.optimizer.job import OptimizerJob


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `examples/`, `schema/` and `model/Format-Serving/`."""
    folder = tmp_path_factory.mktemp("small")
    environment = {**os.environ, **subprocesses.CHILD_ENVIRONMENT}
    command = [sys.executable, "-m", "tests.components.optimizer.models", str(folder)]
    subprocess.run(command, check=True, timeout=180, env=environment, capture_output=True)
    return folder


def job(small: Path, out: Path, **config: Any) -> OptimizerJob:
    """A job on the small servable that writes under `out`."""
    measuring = {"rounds": 12, "calls": 4, "seconds": 1.0, "warmup_calls": 5}
    return OptimizerJob.model_validate(
        {
            "model": str(small / "model"),
            "transform_graph": "",
            "transformed_examples": "",
            "examples": str(small / "examples"),
            "schema_uri": str(small / "schema"),
            "task": "binary",
            "label": "label",
            "metric": "auc",
            "slices": [["company"], ["company", "hour"]],
            "config": {"measuring": measuring, "batch_sizes": [1, 16], "budget_seconds": 60, **config},
            "chosen_uri": str(out / "model"),
            "report_uri": str(out / "report"),
        }
    )


def run(asked: OptimizerJob, log: Path, **environment: str) -> report.Report:
    """Runs the optimizer as its executor does."""
    outcome = subprocesses.run(
        "components.optimizer.search",
        asked.model_dump(mode="json"),
        log,
        timeout_seconds=240,
        environment=environment,
    )
    assert outcome.ok, f"{outcome.error}\n{log.read_text()[-4000:]}"
    return report.read(asked.report_uri)


@pytest.fixture(scope="session")
def optimized(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[report.Report, Path]:
    """The report and the output folder of a run with the variants that need no training."""
    out = tmp_path_factory.mktemp("optimized")
    return run(job(small, out, variants=["frozen", "float16", "frozen+float16"]), out / "log"), out
