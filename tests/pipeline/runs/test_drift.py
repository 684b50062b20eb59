"""Spans through `taxiway run --to DataGate`: real files, real TFX, real TFDV."""

import json

import numpy as np
import pytest
import yaml

from taxiway.pipeline import cli
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history

pytestmark = pytest.mark.e2e

PASSED, BLOCKED = 0, 3


def write_span(folder, span, mean=0.0, cash=0.5, seed=0, rows=600):
    chance = np.random.default_rng(seed)
    length = chance.normal(mean, 1.0, rows)
    paid = np.where(chance.random(rows) < cash, "cash", "card")
    label = (length + chance.normal(0, 1, rows) > mean).astype(int)
    lines = [f"{a:.4f},{b},{c}" for a, b, c in zip(length, paid, label, strict=True)]
    (folder / f"day-{span}.csv").write_text("\n".join(["length,paid by,late", *lines]) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spans")
    content = {
        "name": "days",
        "data": {"path": "day-{SPAN}.csv"},
        "label": {"column": "late"},
        "gates": {"drift": {"against": "previous_span"}},
        "evaluation": {"thresholds": {"auc": {"min": 0.6}}},
    }
    (folder / "days.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(autouse=True)
def without_pages(monkeypatch):
    """The runs' pages are tested elsewhere and take as long as the gate."""
    monkeypatch.setattr("taxiway.pipeline.report.write_report", lambda root, run_id, **_: root.path / "no.html")


def run(folder, *arguments):
    root = folder / "root"
    code = cli.run(["run", str(folder / "days.yaml"), "--root", str(root), "--to", "DataGate", *arguments])
    record = history.find_run(Root.at(root), None)
    return code, record, next((gate for gate in record.gates if gate.gate == "DataGate"), None)


def test_spans_one_after_the_other(folder):
    write_span(folder, 1, seed=1)
    code, _, gate = run(folder)
    assert code == PASSED
    assert gate.numbers["drift"]["against"] == "nothing (no span before 1 has passed this gate yet)"
    assert len(list((folder / "root" / "statistics" / "days").glob("1-*.pb"))) == 1

    write_span(folder, 2, mean=3.0, cash=0.95, seed=2)
    code, record, gate = run(folder)
    assert (code, record.state) == (BLOCKED, "blocked")
    assert "DataGate" in record.reason
    found = {finding["column"]: finding["explanation"] for finding in gate.numbers["findings"]}
    assert "the L-infinity distance from span 1 is 0.4" in found["paid by"]
    assert "allowed is 0.1; the value 'ca" in found["paid by"]
    assert "the Jensen-Shannon divergence from span 1 is 0." in found["length"]
    assert not list((folder / "root" / "statistics" / "days").glob("2-*.pb")), "what is blocked is no standard"

    write_span(folder, 3, seed=3)
    code, record, gate = run(folder)
    assert code == PASSED, record.reason
    assert gate.numbers["drift"]["against"] == "span 1"
    assert gate.numbers["drift"]["columns"] == 3

    _, record, _ = run(folder)
    assert {n.node: n.state for n in record.nodes}["DataGate"] == "cached", "it compared with the same before"


def test_the_live_versions_training_data(folder):
    """The same spans, judged against what a live version was trained on: skew, through its provenance."""
    [first] = (folder / "root" / "statistics" / "days").glob("1-*.pb")
    extra = folder / "root" / "serving" / "days" / "7" / "assets.extra"
    extra.mkdir(parents=True)
    fingerprint = first.stem.partition("-")[2]
    (extra / "provenance.json").write_text(json.dumps({"version": 1, "data": {"input_fingerprint": fingerprint}}))
    against_live = ("--set", "gates.drift.against=none", "--set", "gates.skew.against=live")

    code, record, gate = run(folder, *against_live, "--set", "data.spans=2")
    assert code == BLOCKED
    assert "the training data of the live version 7" in record.reason
    assert {f["column"] for f in gate.numbers["findings"]} >= {"paid by", "length"}


def test_training_against_evaluation_rows(folder):
    write_span(folder, 4, rows=3000)  # so many that chance keeps training and evaluation rows within 0.1
    code, record, gate = run(
        folder, "--set", "gates.drift.against=none", "--set", "gates.skew.against=eval", "--set", "data.spans=4"
    )
    assert code == PASSED, record.reason
    assert gate.numbers["skew"]["against"] == "the split 'eval'"


def test_drift_without_spans_is_refused(folder, capsys):
    code = cli.run(["run", str(folder / "days.yaml"), "--set", "data.path=day-1.csv", "--root", str(folder / "other")])
    assert code == 2
    assert "holds no {SPAN}" in capsys.readouterr().err
    assert not (folder / "other").exists()
