"""A servable made once, and the optimizer run on it, in processes of their own: tests start no TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taxiway.components.optimizer import report
from taxiway.components.optimizer.job import OptimizerJob
from taxiway.components.processes import subprocesses


def _make(module: str, folder: Path, *arguments: str) -> None:
    environment = {**os.environ, **subprocesses.CHILD_ENVIRONMENT}
    command = [sys.executable, "-m", f"tests.components.optimizer.{module}", str(folder), *arguments]
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
    outcome = subprocesses.run_module(
        "tests.components.optimizer.children", {"do": do, **content}, log, timeout_seconds=600
    )
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


def run(asked: OptimizerJob, log: Path, **environment: str) -> report.OptimizerReport:
    """Runs the optimizer as its executor does."""
    outcome = subprocesses.run_module(
        "taxiway.components.optimizer.search",
        asked.model_dump(mode="json"),
        log,
        timeout_seconds=600,
        environment=environment,
    )
    assert outcome.ok, f"{outcome.error}\n{log.read_text()[-4000:]}"
    return report.read_report(asked.report_uri)


@pytest.fixture(scope="session")
def optimized(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[report.OptimizerReport, Path]:
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
EXPORTED = ("frozen", "float16", "int8_weights", "magnitude_pruned", "sparsity_2_4", "structured_pruned")
"""Variants with a SavedModel that `everything` exports."""


@pytest.fixture(scope="session")
def everything(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[report.OptimizerReport, Path]:
    """The report and the output folder of a run with every technique on a trained model."""
    out = tmp_path_factory.mktemp("everything")
    exports = ("onnx", *EXPORTED)
    changes = {"variants": ALL, "exports": exports, "fine_tuning": {"epochs": 2}, "combine": False}
    changes["structured"] = {"keep_embedding_fraction": 0.5}
    changes["constraints"] = {"max_quality_drop": 0.1, "max_loss_rise": 1.0}  # so that no branch is dropped
    return run(job(trained, out, **changes), out / "log"), out


TABULAR = (
    "frozen",
    "int8_weights",
    "magnitude_pruned",
    "sparsity_2_4",
    "structured_pruned",
    "structured_pruned_65",
    "structured_pruned_80",
    "quantization_aware+tflite_int8",
    "tflite_float32",
    "onnx",
)


@pytest.fixture(scope="session")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> tuple[report.OptimizerReport, Path]:
    """The report and the output folder of a run on a model of `kind: tabular`."""
    folder, out = tmp_path_factory.mktemp("trained_tabular"), tmp_path_factory.mktemp("tabular")
    _make("trained", folder, "tabular")
    exports = ("magnitude_pruned", "sparsity_2_4", "structured_pruned", "structured_pruned_80")
    changes = {"variants": TABULAR, "exports": exports}
    changes |= {"fine_tuning": {"epochs": 2}, "combine": False}
    changes["constraints"] = {"max_quality_drop": 0.1, "max_loss_rise": 1.0}
    return run(job(folder, out, **changes), out / "log"), out
