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
def test_what_the_optimizer_found_on_eval_the_evaluator_finds_on_test(taxi, evaluator, which):
    report = optimization(taxi)
    name = report["decision"]["chosen"] if which == "chosen" else "reference"
    quality = variant(report, name)["quality"]
    value, rows = evaluated(taxi, evaluator, quality["metric"])
    splits = taxi.summary["gates"][0]["numbers"]["rows"]
    assert (quality["rows"], rows) == (splits["eval"], splits["test"])
    assert_plausible(value, quality["value"])


def test_it_does_so_in_every_slice_that_both_judge(taxi):
    report = optimization(taxi)
    quality = variant(report, report["decision"]["chosen"])["quality"]
    known = {m["slice"] for m in taxi.summary["metrics"]["OptimizedEvaluator"]}
    shared = [s for s in quality["slices"] if f"{s['column']}={s['value']}" in known and s["metric"]["low"] is not None]
    assert shared
    for part in shared:
        value, _ = evaluated(taxi, "OptimizedEvaluator", quality["metric"], f"{part['column']}={part['value']}")
        assert_plausible(value, part["metric"])


def test_the_measured_drop_is_that_between_the_two_evaluators(taxi):
    report = optimization(taxi)
    quality = variant(report, report["decision"]["chosen"])["quality"]
    before, _ = evaluated(taxi, "Evaluator", quality["metric"])
    after, _ = evaluated(taxi, "OptimizedEvaluator", quality["metric"])
    assert_plausible(before - after, quality["drop"], margin=2e-4)


def assert_plausible(value: float, interval: dict, margin: float = 0.0) -> None:
    """A value from other rows of the same number scatters by the square root of two as much as an interval says, and
    half of one seed in 1,000 lies beyond twice its width; one code's error in the metric lies further away."""
    reach = interval["high"] - interval["low"] + margin
    assert abs(value - interval["value"]) <= reach, (value, interval)


def test_the_report_says_what_it_did_not_try_and_where_the_time_goes(taxi):
    report = optimization(taxi)
    assert all(v["reason"] for v in report["variants"] if v["status"] != "measured")
    assert "structured_pruned+int8_weights" in {v["name"] for v in report["variants"]}  # combined by the search
    assert any("on parsing and transform" in finding for finding in report["decision"]["findings"])
