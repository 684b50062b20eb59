"""The optimizer's own figures against what the second Evaluator, which shares no code with it, says of a model."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.e2e


def optimization(taxi) -> dict:
    return json.loads((taxi.artifact("ModelOptimizer", "report") / "report.json").read_text())


def variant(report: dict, name: str) -> dict:
    (found,) = [entry for entry in report["variants"] if entry["name"] == name]
    return found


def evaluated(taxi, evaluator: str, metric: str, slice_name: str = "overall") -> tuple[float, int]:
    """A metric of an Evaluator's candidate, and on how many rows."""
    entry = {m["slice"]: m for m in taxi.summary["metrics"][evaluator]}[slice_name]
    return entry["candidate"][metric], entry["rows"]


@pytest.mark.parametrize(("evaluator", "which"), [("OptimizedEvaluator", "chosen"), ("Evaluator", "reference")])
def test_the_evaluator_s_metric_lies_within_the_optimizer_s_interval(taxi, evaluator, which):
    report = optimization(taxi)
    name = report["decision"]["chosen"] if which == "chosen" else "reference"
    quality = variant(report, name)["quality"]
    value, rows = evaluated(taxi, evaluator, quality["metric"])
    assert quality["rows"] == rows
    assert quality["value"]["low"] <= value <= quality["value"]["high"]


def test_it_does_so_in_every_slice_that_both_judge(taxi):
    report = optimization(taxi)
    quality = variant(report, report["decision"]["chosen"])["quality"]
    known = {m["slice"] for m in taxi.summary["metrics"]["OptimizedEvaluator"]}
    shared = [s for s in quality["slices"] if f"{s['column']}={s['value']}" in known and s["metric"]["low"] is not None]
    assert shared
    for part in shared:
        value, rows = evaluated(taxi, "OptimizedEvaluator", quality["metric"], f"{part['column']}={part['value']}")
        assert part["rows"] == rows
        assert part["metric"]["low"] <= value <= part["metric"]["high"], part


def test_the_measured_drop_is_that_between_the_two_evaluators(taxi):
    report = optimization(taxi)
    quality = variant(report, report["decision"]["chosen"])["quality"]
    before, _ = evaluated(taxi, "Evaluator", quality["metric"])
    after, _ = evaluated(taxi, "OptimizedEvaluator", quality["metric"])
    binned = 2e-4  # TFMA counts scores in bins
    assert quality["drop"]["low"] - binned <= before - after <= quality["drop"]["high"] + binned


def test_the_report_says_what_it_did_not_try_and_where_the_time_goes(taxi):
    report = optimization(taxi)
    assert all(v["reason"] for v in report["variants"] if v["status"] != "measured")
    assert "structured_pruned+int8_weights" in {v["name"] for v in report["variants"]}  # combined by the search
    assert any("on parsing and transform" in finding for finding in report["decision"]["findings"])
