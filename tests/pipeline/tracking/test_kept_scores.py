"""What other pages than the report say of `scores.json`: of this Taxiway's, an older one's, and damaged ones."""

import json

import pytest

from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import kept_scores
from taxiway.pipeline.tracking.run_record import MetricValues, RunRecord

ENTRY = {"value": [0.88, 0.92], "change": [0.3, 0.4]}


def read(folder, content, place="runs/r"):
    values = MetricValues(slice="overall", candidate={"auc": 0.9})
    run = RunRecord(run_id="r", state="live", started=0.0, main_metric="auc", metrics={"Evaluator": (values,)})
    (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / place / "scores.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return kept_scores.read_main_intervals(Root.at(folder), run)


def make_scores(version):
    return {"made_from": {"version": version}, "intervals": {"Evaluator": {"overall": {"auc": ENTRY}}}}


@pytest.mark.parametrize("place", ["runs/r", "executions/r/Evaluator"])
@pytest.mark.parametrize(("version", "known"), [(kept_scores.VERSION, True), (6, True), (5, False), (99, False)])
def test_the_main_metric_s_interval_is_read_from_either_place(tmp_path, version, known, place):
    assert read(tmp_path, make_scores(version), place) == ({"Evaluator": ENTRY} if known else {})


@pytest.mark.parametrize(
    "content", ["{", [], {"made_from": 7}, {"made_from": {"version": kept_scores.VERSION}, "intervals": ["auc"]}]
)
def test_damaged_scores_are_none(tmp_path, content):
    assert read(tmp_path, content) == {}
