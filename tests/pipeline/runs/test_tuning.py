"""`taxiway tune`: what it asks of a run, and what it prints of the search that the run left."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from taxiway.pipeline import cli
from taxiway.pipeline.runs import tuning
from tests.pipeline.lineage import stores

RATE, UNITS = "training.optimizer.learning_rate", "model.hidden_units"
TUNER = (
    "taxiway.components.tuner.component.Tuner",
    ["Transform.transformed_examples", "Transform.transform_graph", "SchemaGen.schema"],
    [("best_hyperparameters", "HyperParameters"), ("tuner_results", "TunerResults")],
)
REPORT = {"version": 1, "metric": "loss", "value": 0.25, "best": 3, "trials": 5,
          "settings": {RATE: 0.0123456, UNITS: "[16, 8]"}}  # fmt: skip


@pytest.fixture
def searched(tmp_path, monkeypatch) -> SimpleNamespace:
    """The root, and the requests that were made; a run there ends as one that came as far as the Tuner."""
    monkeypatch.setitem(stores.DAG, "Tuner", TUNER)
    root = stores.Root(tmp_path / "root")
    root.run("run-1", nodes=(*stores.FIRST_NODES, "Transform", "Tuner"))
    root.run("run-2", nodes=stores.FIRST_NODES)
    (root.folder("Tuner.tuner_results") / "trials.json").write_text(json.dumps(REPORT))
    made = SimpleNamespace(path=root.path, requests=[], run=SimpleNamespace(run_id="run-1", exit_code=0))

    def execute_run(request: Any, *_: Any) -> Any:
        made.requests.append(request)
        return made.run

    monkeypatch.setattr(tuning, "execute_run", execute_run)
    return made


def test_the_best_settings_stand_beside_the_configured_ones_with_the_next_command(searched, capsys):
    words = ["tune", "--root", str(searched.path), "--trials", "5", "--timeout", "60", "--set", f"{RATE}=0.004"]
    assert cli.run(words) == 0
    (request,) = searched.requests
    assert request.to_node == "Tuner" and request.wait
    settings = (f"{RATE}=0.004", "tuning.enabled=true", "tuning.trials=5", "tuning.timeout_seconds=60.0")
    assert request.overrides == settings
    printed = capsys.readouterr().out
    assert "Trial 3 of 5: loss 0.25 on the eval split" in printed
    (row,) = [line for line in printed.splitlines() if RATE in line and "Train with" not in line]
    assert "0.004" in row and "0.01235" in row
    command = f"taxiway run --root {searched.path} " + " ".join(f"--set {each}" for each in settings)
    assert f"Train with them: {command}" in printed


def test_json_is_the_report_alone(searched, capsys):
    assert cli.run(["tune", "--root", str(searched.path), "--json", "--no-wait"]) == 0
    assert json.loads(capsys.readouterr().out) == REPORT
    assert searched.requests[0].json and not searched.requests[0].wait


@pytest.mark.parametrize(("code", "expected"), [(3, 3), (0, 1)])
def test_a_run_that_did_not_come_so_far_ends_as_it_did(searched, capsys, code, expected):
    """A blocked one has its own code; one without a search has not done what was asked."""
    searched.run = SimpleNamespace(run_id="run-2", exit_code=code)
    assert cli.run(["tune", "--root", str(searched.path)]) == expected
    assert "Train with" not in capsys.readouterr().out
