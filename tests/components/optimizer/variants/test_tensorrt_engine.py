"""Real TensorRT-RTX engines of a trained model, built without a GPU. Skipped where the extra is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.components.optimizer.report import OptimizerReport
from tests.components.optimizer.conftest import job, run

VARIANTS = (
    "tensorrt_engine_fp32",
    "tensorrt_engine_fp16",
    "tensorrt_engine_int8",
    "sparsity_2_4+tensorrt_engine_fp16",
)
EXPECTED = {"fp32": "FLOAT", "fp16": "FLOAT16", "int8": "INT8"}


@pytest.fixture(scope="module")
def built(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[OptimizerReport, Path]:
    pytest.importorskip(
        "tensorrt_rtx", reason="the extra tensorrt-rtx is not installed: pip install -e .[tensorrt-rtx]"
    )
    out = tmp_path_factory.mktemp("engines")
    changes = {"constraints": {"max_quality_drop": 0.1, "max_loss_rise": 1.0}, "fine_tuning": {"epochs": 0.5}}
    return run(job(trained, out, variants=VARIANTS, exports=VARIANTS, **changes), out / "log"), out


@pytest.mark.parametrize("name", VARIANTS)
def test_the_engine_is_built_and_exported_with_a_triton_repository(built, name):
    report, out = built
    variant = report.find_variant(name)
    assert variant.status == "exported", variant.reason
    assert "no GPU" in variant.reason  # it is not claimed to have run
    assert variant.rejected[0].startswith("not pushable: it needs a GPU")
    plan = (out / "exports" / name / "model.plan").read_bytes()
    assert len(plan) > 10_000
    (repository,) = (out / "exports" / name / "triton").iterdir()
    assert (repository / "1" / "model.plan").read_bytes() == plan
    assert 'platform: "tensorrt_plan"' in (repository / "config.pbtxt").read_text()


@pytest.mark.parametrize("name", VARIANTS)
def test_the_precision_is_in_the_graph(built, name):
    precision = name.rpartition("_")[2]
    (check,) = [c for c in built[0].find_variant(name).checks if c.name == f"weights_are_{precision}"]
    assert check.passed
    assert check.figures[EXPECTED[precision]] == max(n for kind, n in check.figures.items() if kind != "INT64")


def test_the_2_4_pattern_reaches_the_engine(built):
    sparse = {
        name: next(c for c in built[0].find_variant(name).checks if c.name == "engine_built").figures["sparse_2_4"]
        for name in VARIANTS
    }
    assert sparse["tensorrt_engine_fp16"] == 0
    assert sparse["sparsity_2_4+tensorrt_engine_fp16"] >= 1
