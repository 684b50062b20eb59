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


def _make(module: str, folder: Path) -> None:
    environment = {**os.environ, **subprocesses.CHILD_ENVIRONMENT}
    command = [sys.executable, "-m", f"tests.components.optimizer.{module}", str(folder)]
    subprocess.run(command, check=True, timeout=600, env=environment, capture_output=True)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`examples/`, `schema/` and `model/Format-Serving/` with a vocabulary table, and no trainer's files."""
    folder = tmp_path_factory.mktemp("small")
    _make("models", folder)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the optimizer reads of a model that Taxiway trained."""
    folder = tmp_path_factory.mktemp("trained")
    _make("trained", folder)
    return folder


def child(do: str, log: Path, **content: Any) -> dict[str, Any]:
    """Calls a function of `children` in a process of its own."""
    outcome = subprocesses.run("tests.components.optimizer.children", {"do": do, **content}, log, timeout_seconds=600)
    assert outcome.ok, f"{outcome.error}\n{log.read_text()[-4000:]}"
    return outcome.result or {}


def job(small: Path, out: Path, **config: Any) -> OptimizerJob:
    """A job on the small servable that writes under `out`."""
    measuring = {"rounds": 12, "calls": 4, "seconds": 1.0, "warmup_calls": 5}
    return OptimizerJob.model_validate(
        {
            "model": str(small / "model"),
            "transform_graph": str(small / "transform_graph") if (small / "transform_graph").exists() else "",
            "transformed_examples": str(small / "transformed_examples"),
            "examples": str(small / "examples"),
            "schema_uri": str(small / "schema"),
            "task": "binary",
            "label": "label",
            "metric": "auc",
            "slices": [["company"], ["company", "hour"]] if "small" in small.name else [["kind"]],
            "config": {"measuring": measuring, "batch_sizes": [1, 16], "budget_seconds": 600, **config},
            "chosen_uri": str(out / "model"),
            "report_uri": str(out / "report"),
            "exports_uri": str(out / "exports"),
        }
    )


def run(asked: OptimizerJob, log: Path, **environment: str) -> report.Report:
    """Runs the optimizer as its executor does."""
    outcome = subprocesses.run(
        "components.optimizer.search",
        asked.model_dump(mode="json"),
        log,
        timeout_seconds=600,
        environment=environment,
    )
    assert outcome.ok, f"{outcome.error}\n{log.read_text()[-4000:]}"
    return report.read(asked.report_uri)


@pytest.fixture(scope="session")
def optimized(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[report.Report, Path]:
    """The report and the output folder of a run with the variants that need no training."""
    out = tmp_path_factory.mktemp("optimized")
    return run(job(small, out, variants=["frozen", "float16", "frozen+float16"]), out / "log"), out


ALL = (
    "frozen",
    "lean_inputs",
    "float16",
    "int8_weights",
    "int8_dynamic",
    "int8_static",
    "magnitude_pruned",
    "magnitude_pruned+frozen",
    "sparsity_2_4",
    "structured_pruned+int8_weights",
    "quantization_aware+tflite_int8",
    "tflite_float32",
    "tflite_float16",
    "tflite_dynamic",
    "onnx",
    "tensorrt_fp32",
    "tensorrt_engine_int8",
    "xla",
)


@pytest.fixture(scope="session")
def everything(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[report.Report, Path]:
    """The report and the output folder of a run with every technique on a trained model."""
    out = tmp_path_factory.mktemp("everything")
    exports = ("onnx", "magnitude_pruned", "sparsity_2_4", "structured_pruned")
    changes = {"variants": ALL, "exports": exports, "fine_tuning": {"epochs": 2}, "combine": False}
    changes["structured"] = {"keep_embedding_fraction": 0.5}
    changes["constraints"] = {"max_quality_drop": 0.1, "max_loss_rise": 1.0}  # so that no branch is dropped
    return run(job(trained, out, **changes), out / "log"), out
