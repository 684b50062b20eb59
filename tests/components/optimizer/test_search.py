"""The whole optimizer on a small servable, in its own process as the executor runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer import plot, report, reproduce
from taxiway.components.optimizer.techniques import REFERENCE
from taxiway.components.stack_seam import find_tensorrt_obstacle
from tests.components.optimizer.conftest import child, job, run


def folder_bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def test_the_report_holds_every_variant_measured(optimized):
    found, _ = optimized
    assert [v.name for v in found.variants] == [REFERENCE, "frozen", "float16", "frozen+float16"]
    for variant in found.variants:
        assert variant.status == "measured", variant.reason
        assert {x.batch_size for x in variant.latencies} == {1, 16}
        assert all(x.samples >= 20 and x.p50_ms <= x.p95_ms <= x.p99_ms for x in variant.latencies)
        assert variant.start.load_ms > 0
    assert found.reference.find_latency(16).speedup.value == 1.0
    assert found.environment.threads == 1


def test_quality_and_sizes_recomputed_from_the_files_equal_the_report(optimized, small, tmp_path):
    found, out = optimized
    served = child(
        "answers", tmp_path / "log", examples=str(small / "examples"), servable=str(out / "model" / "Format-Serving")
    )
    chosen = found.find_variant(found.decision.chosen)
    auc = roc_auc_score(served["labels"], served["scores"])
    assert chosen.quality.value.value == pytest.approx(auc, abs=1e-6)
    assert chosen.quality.rows == len(served["labels"])
    assert chosen.size.bytes == folder_bytes(out / "model" / "Format-Serving")
    assert served["signatures"] == ["serving_default", "serving_raw"]


def test_freezing_changes_no_answer_and_leaves_no_call(optimized):
    frozen = optimized[0].find_variant("frozen")
    assert frozen.output_error.max < 1e-6
    assert frozen.output_error.decisions_flipped == 0
    nodes = next(c for c in frozen.checks if c.name == "fewer_nodes")
    assert nodes.figures["after"] < nodes.figures["before"]
    assert nodes.figures["calls"] == 0
    assert next(c for c in frozen.checks if c.name == "kernels_not_reordered").passed


def test_float16_is_half_the_weights(optimized):
    check = next(c for c in optimized[0].find_variant("float16").checks if c.name == "weights_are_float16")
    assert check.passed
    assert check.figures["float16_bytes"] == 2 * (29 * 96 + 96 * 96 + 96 * 3)


def test_slices_are_those_with_enough_rows(optimized):
    slices = optimized[0].reference.quality.slices
    assert {s.value for s in slices if s.column == "company"} == {"ace", "blue", "city", "dove"}
    assert all(s.rows >= 50 for s in slices)


def test_an_abort_a_failed_check_and_lost_quality_cost_that_variant_only(small, tmp_path):
    replaced = {"frozen": "ABORTS", "float16": "SPOILS", "int8_weights": "FAILS_ITS_CHECK", "lean_inputs": "COMPILES"}
    asked = job(small, tmp_path, variants=list(replaced))
    child("optimize", tmp_path / "log", replaced=replaced, job=asked.model_dump(mode="json"))
    found = report.read_report(asked.report_uri)
    assert found.find_variant("frozen").status == "failed"
    assert "SIGABRT" in found.find_variant("frozen").reason
    assert "not what was asked for: sparsity" in found.find_variant("int8_weights").reason
    assert found.find_variant("lean_inputs").status == "failed"  # it loads, and XLA is off as in TensorFlow Serving
    assert "does not answer" in found.find_variant("lean_inputs").reason
    assert "XLA" in found.find_variant("lean_inputs").reason
    spoiled = found.find_variant("float16")
    assert spoiled.status == "measured"
    assert spoiled.quality.drop.value > 0.01
    assert "max_quality_drop" in spoiled.rejected[0]
    assert found.decision.chosen == REFERENCE
    assert folder_bytes(tmp_path / "model") == folder_bytes(small / "model")


def test_the_process_that_forks_has_not_started_tensorflow(tmp_path):
    assert child("preloaded", tmp_path / "log") == {"started": False, "threads": 1}


def test_what_the_budget_leaves_no_time_for_is_said(small, tmp_path):
    found = run(job(small, tmp_path, variants=["frozen", "float16"], budget_seconds=0.1), tmp_path / "log")
    assert [v.status for v in found.variants] == ["measured", "not_tried", "not_tried"]
    assert "budget" in found.find_variant("float16").reason


def test_a_budget_spent_before_latency_leaves_a_choice_among_what_was_measured(small, tmp_path):
    """As with a model that takes minutes to load: the search ends by itself, with the trained model."""
    asked = job(small, tmp_path, variants=["frozen"])
    child("optimize_late", tmp_path / "log", job=asked.model_dump(mode="json"))
    found = report.read_report(asked.report_uri)
    frozen = found.find_variant("frozen")
    assert (
        frozen.status == "not_tried"
        and frozen.reason == "the budget of 600 s was spent before its latency was measured"
    )
    assert frozen.quality is not None and found.decision.chosen == REFERENCE
    assert found.reference.find_latency(16).speedup.value == 1.0 and found.reference.start.load_ms > 0


def test_a_model_whose_loading_would_end_too_late_is_not_loaded(tmp_path):
    expected = {"0.0": 1, "1.5": 1, "2.0": 2, "2.5": 2, "3.0": 3}
    names, seconds = [REFERENCE, "frozen", "float16"], [float(text) for text in expected]
    assert child("load_slowly", tmp_path / "log", names=names, seconds=seconds) == expected


def test_max_variants_and_a_model_that_was_not_blessed(small, tmp_path):
    found = run(job(small, tmp_path, variants=["frozen", "float16"], max_variants=1), tmp_path / "log")
    assert "max_variants" in found.find_variant("float16").reason
    refused = job(small, tmp_path / "second", variants=["frozen"]).model_copy(update={"blessed": False})
    found = run(refused, tmp_path / "log")
    assert [v.name for v in found.variants] == [REFERENCE]
    assert "did not bless" in found.decision.reasons[0]


def test_an_optimizers_slots_do_not_fake_compression(small, tmp_path):
    model = tmp_path / "input" / "model" / "Format-Serving"
    child("with_slots", tmp_path / "log", folder=str(model))
    asked = job(small, tmp_path, variants=["frozen"]).model_copy(update={"model": str(tmp_path / "input" / "model")})
    found = run(asked, tmp_path / "log")
    assert found.reference.size.bytes == folder_bytes(model)
    assert found.reference.size.ratio < 0.6  # against itself without the slots, which are twice the weights
    frozen = found.find_variant("frozen").size
    assert found.reference.size.bytes / frozen.bytes > 3  # what a comparison with the slots would claim
    assert frozen.ratio < 2


def test_xla_only_signatures_load_and_fail_on_the_first_request(tmp_path):
    told = child("compiled", tmp_path / "log", folder=str(tmp_path / "servable"))
    assert "XLA compilation disabled" in told["error"]


def test_techniques_that_need_the_trainers_files_say_so(small, tmp_path):
    found = run(job(small, tmp_path, variants=["magnitude_pruned", "onnx", "tensorrt_fp32"]), tmp_path / "log")
    assert "job.json" in found.find_variant("magnitude_pruned").reason
    assert "model core" in found.find_variant("onnx").reason
    real = found.find_variant("tensorrt_fp32")
    assert (real.status == "not_tried") == bool(find_tensorrt_obstacle())
    if real.status == "not_tried":
        assert real.reason == find_tensorrt_obstacle()
        return
    assert "has not been built with TensorRT support" in real.reason  # the converter's own words, and what they hide
    assert "libnvinfer is not installed" in real.reason


def test_a_variant_is_made_again_bit_for_bit_from_the_command_line(optimized, tmp_path):
    folder, out = optimized[1] / "report", tmp_path / "again"
    command = [sys.executable, "-m", "taxiway", "optimize", "--reproduce", str(folder), "float16", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["float16", "is", "in", str(out / "float16")]  # and no difference is told
    found = report.read_report(out).find_variant("float16")
    assert found.quality == optimized[0].find_variant("float16").quality
    assert (out / "float16" / "Format-Serving" / "saved_model.pb").exists()


def test_a_variant_that_the_report_has_not_is_refused(optimized, tmp_path):
    with pytest.raises(OptimizationError, match="It has: reference, frozen"):
        reproduce(optimized[1] / "report", "frizen", tmp_path / "other")


def test_the_plot_is_written(optimized):
    found, out = optimized
    html = (out / "report" / "plot.html").read_text()
    (traces,) = re.findall(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*(\[.*?\]),\s*\{", html, re.DOTALL)
    assert json.loads(traces) == json.loads(plot.build_figure(found).to_json())["data"]
    drawn = [name for trace in json.loads(traces)[1:] for name in trace["text"]]
    assert sorted(drawn) == sorted([REFERENCE, "frozen", "float16", "frozen+float16"])
    assert "<script src=" not in html, "it is read without a network"


def test_reports_hold_no_nan(optimized):
    assert "NaN" not in (optimized[1] / "report" / "report.json").read_text()
    assert np.isfinite(optimized[0].seconds)
