"""The report's section of a search, from the file that the tuner writes."""

import json
from types import SimpleNamespace

import pytest

from taxiway.pipeline.report import build, sections
from taxiway.pipeline.report.run_data import RunData

SPACE = {
    "training.optimizer.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "model.dropout": {"low": 0.0, "high": 0.5, "log": False},
    "model.hidden_units": {"choices": [[8], [16, 8]]},
}


def make_report(direction="minimize"):
    points = [(0, 0.5, 1e-3, 0.1, "[8]"), (1, 0.3, 1e-2, 0.2, "[16, 8]"), (3, 0.4, 1e-4, 0.3, "[8]")]
    trials = [
        {"number": number, "state": "complete", "value": value, "error": "",
         "settings": dict(zip(SPACE, settings, strict=True))}
        for number, value, *settings in points
    ]  # fmt: skip
    trials.append({"number": 2, "state": "fail", "value": None, "error": "<b>not finite</b>", "settings": {}})
    best = (min if direction == "minimize" else max)(trials[:3], key=lambda trial: trial["value"])
    return {"version": 1, "metric": "loss", "value": best["value"], "best": best["number"], "trials": 3,
            "settings": best["settings"], "direction": direction, "space": SPACE,
            "importance": {"model.dropout": 0.7, "model.hidden_units": 0.3}, "all_trials": trials}  # fmt: skip


@pytest.fixture
def run_data(tmp_path):
    data = RunData(SimpleNamespace(), SimpleNamespace())
    data.find_folder = lambda node, output, names=(): tmp_path if (node, output) == ("Tuner", "tuner_results") else None
    return data


@pytest.mark.parametrize(("direction", "best", "line"), [("minimize", 1, [0.5, 0.3, 0.3]), ("maximize", 0, [0.5] * 3)])
def test_the_section_has_history_importance_and_every_trial(run_data, tmp_path, direction, best, line):
    (tmp_path / "trials.json").write_text(json.dumps(make_report(direction)))
    section = sections.describe_tuning(run_data)
    history, importance, parallel = section["figures"]
    assert history["data"][0]["x"] == [0, 1, 3] and history["data"][1]["y"] == line
    assert importance["data"][0]["y"] == [0.7, 0.3]
    rates, dropout, units, losses = parallel["data"][0]["dimensions"]
    assert rates["values"] == [-3, -2, -4] and rates["ticktext"] == ["0.0001", "0.01"]
    assert dropout["values"] == [0.1, 0.2, 0.3] and losses["values"] == [0.5, 0.3, 0.4]
    assert [units["ticktext"][place] for place in units["values"]] == ["[8]", "[16, 8]", "[8]"]
    assert section["table"][0][0] == section["best"] == best
    assert section["states"] == [("ended", 3), ("failed", 1)]


def test_a_run_without_a_search_has_no_section(run_data):
    assert sections.describe_tuning(run_data) is None


def test_the_page_shows_the_section_and_escapes_what_failed(run_data, tmp_path):
    (tmp_path / "trials.json").write_text(json.dumps(make_report()))
    built = dict.fromkeys(("nodes", "data", "schema", "training", "evaluation", "optimization", "serving", "profile",
                           "lineage", "environment"))  # fmt: skip
    words = ("model", "words", "run_id", "state", "reason", "figures", "started", "seconds", "command", "resume", "log")
    outcome = SimpleNamespace(**dict.fromkeys(words, ""))
    page = (
        build.make_environment()
        .get_template("report.html.j2")
        .render(
            outcome=outcome, section=built | {"tuning": sections.describe_tuning(run_data)}, css="", js="", plotly=""
        )
    )
    assert "Trial <b>1</b> has the best loss on the eval split, 0.3;" in page
    assert "&lt;b&gt;not finite&lt;/b&gt;" in page and "<b>not finite</b>" not in page
