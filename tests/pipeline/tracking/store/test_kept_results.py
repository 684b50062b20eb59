"""Small results beside a node's record, and what reads them when the object store is out of reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history
from taxiway.pipeline.tracking.store import kept_results
from tests.pipeline.lineage.clusters import Cluster
from tests.pipeline.lineage.stores import FIRST_NODES

VERDICT = {
    "gate": "DataGate",
    "findings": [{"rule": "missing", "column": "tip", "explanation": "is missing"}],
    "numbers": {"rows": 5},
}


def write_files(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        file = folder / name.replace("__", "/").replace("_json", ".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


def test_reports_are_kept_models_and_rows_are_not(tmp_path):
    written = {
        "model": ("Model", write_files(tmp_path / "model", training__history_json="{}", **{"Format-Serving__pb": "x"})),
        "examples": ("Examples", write_files(tmp_path / "examples", ingest_json="{}", **{"Split-eval__rows.gz": "x"})),
        "verdict": ("taxiway.Verdict", write_files(tmp_path / "verdict", verdict_json="{}")),
        "graph": ("TransformGraph", write_files(tmp_path / "graph", columns_json="{}")),
    }
    assert kept_results.keep_results(tmp_path / "root", "r", "Node", written) == []
    folder = kept_results.find_folder(tmp_path / "root", "r", "Node")
    kept = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    assert kept == ["examples/ingest.json", "model/training/history.json", "verdict/verdict.json"]


def test_a_retry_replaces_what_the_try_before_kept(tmp_path):
    first = {"verdict": ("taxiway.Verdict", write_files(tmp_path / "a", old_json="{}"))}
    kept_results.keep_results(tmp_path, "r", "Node", first)
    kept_results.keep_results(
        tmp_path, "r", "Node", {"verdict": ("taxiway.Verdict", write_files(tmp_path / "b", new_json="{}"))}
    )
    names = [file.name for file in kept_results.find_folder(tmp_path, "r", "Node", "verdict").iterdir()]
    assert names == ["new.json"]


def test_what_is_too_large_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_results, "MOST_BYTES", 3)
    [note] = kept_results.keep_results(
        tmp_path, "r", "Node", {"verdict": ("taxiway.Verdict", write_files(tmp_path / "v", verdict_json="1234"))}
    )
    assert "Node.verdict has 4 bytes" in note
    assert not kept_results.find_folder(tmp_path, "r", "Node", "verdict").exists()


@pytest.fixture()
def cluster(tmp_path):
    return Cluster(tmp_path / "root")


@pytest.fixture()
def root(cluster):
    """A run whose artifacts are in a bucket that nobody here reaches."""
    cluster.run("run-1", emulated=False)
    folder = kept_results.find_folder(cluster.root, "run-1", "DataGate", "verdict")
    write_files(folder, verdict_json=json.dumps(VERDICT))
    write_files(kept_results.find_folder(cluster.root, "run-1", "Trainer", "model"), training__history_json="{}")
    return Root.at(cluster.root)


def test_a_gate_is_read_from_what_its_node_kept(root):
    [gate] = [gate for gate in history.find_run(root, "run-1").gates if gate.gate == "DataGate"]
    assert (gate.passed, gate.reason, gate.numbers["rows"]) == (False, "tip: is missing", 5)


def test_a_model_keeps_its_uri_and_its_history_is_found(root):
    run_data = RunData.open_run(root, "run-1")
    assert run_data.outputs["Trainer", "model"].uri == "minio://bucket/taxi/run-1/Trainer/model"
    folder = run_data.find_folder("Trainer", "model")
    assert folder and (folder / "training" / "history.json").is_file()
    assert run_data.find_kept_folder("Evaluator", "evaluation") is None


def test_a_cached_node_has_what_was_kept_in_the_run_that_made_it(cluster, root):
    cluster.run("run-2", cached=FIRST_NODES, nodes=(*FIRST_NODES, "Transform"), emulated=False)
    run_data = RunData.open_run(root, "run-2")
    assert run_data.executions["DataGate"].state == "CACHED"
    assert run_data.find_kept_folder("DataGate", "verdict") == kept_results.find_folder(root.path, "run-1", "DataGate")
