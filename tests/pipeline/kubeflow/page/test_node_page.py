"""What a node shows on the page, through the entry point and with the files of real components."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from taxiway.components.gates.verdict import GateFinding, VerdictRecord
from taxiway.pipeline.kubeflow import entrypoint
from taxiway.pipeline.kubeflow.page import node_page
from taxiway.pipeline.kubeflow.page.outputs import PageFacts
from taxiway.pipeline.tracking.store import execution_record, kept_results
from taxiway.pipeline.tracking.store.metadata_store import StoredArtifact
from tests.pipeline.kubeflow.page import frontend_rules

BASE = "minio://bucket/v2/taxi/run-7"


def make_artifact(folder: Path, node: str, key: str, kind: str) -> dict[str, Any]:
    schema = {"instanceSchema": f"title: {kind}\ntype: object\n"} if "system" not in kind else {"schemaTitle": kind}
    path = folder / node / key
    path.parent.mkdir(parents=True, exist_ok=True)
    return {"artifacts": [{"name": key, "uri": f"{BASE}/{node}/salt/{key}", "customPath": str(path), "type": schema}]}


@pytest.fixture()
def gate(tmp_path):
    """Runs the entry point of `DataGate` with a function that writes a verdict in place of TFX's executor."""

    def run(write) -> tuple[dict[str, Any], Path]:
        page = {"summary": "system.Markdown", "record": "system.Artifact", "executor-logs": "system.Artifact"}
        artifacts = {key: make_artifact(tmp_path, "DataGate", key, kind) for key, kind in page.items()}
        artifacts["verdict"] = make_artifact(tmp_path, "DataGate", "verdict", "taxiway.Verdict")
        content = {
            "inputs": {"parameterValues": {"taxiway_root": str(tmp_path / "root")}},
            "outputs": {"artifacts": artifacts, "outputFile": str(tmp_path / "DataGate" / "output_metadata.json")},
        }
        arguments = ["--node", "DataGate", "--executor_class_path", "my.Executor"]
        arguments += ["--json_serialized_invocation_args", json.dumps(content)]
        arguments += ["--json_serialized_declared_outputs", '["verdict"]']
        arguments += ["--json_serialized_page_facts", '{"model": "taxi", "task": "binary"}']
        entrypoint.run_node(arguments, write)
        return json.loads((tmp_path / "DataGate" / "output_metadata.json").read_text())["artifacts"], tmp_path

    return run


def write_verdict(arguments: argparse.Namespace, _: list[str]) -> None:
    invocation = json.loads(arguments.json_serialized_invocation_args)
    assert set(invocation["outputs"]["artifacts"]) == {"verdict"}, "the executor knows nothing of the page"
    uri = invocation["outputs"]["artifacts"]["verdict"]["artifacts"][0]["uri"]
    finding = GateFinding(rule="missing", column="tip", explanation="is missing")
    VerdictRecord(gate="DataGate", findings=(finding,), numbers={"rows": 5}).write_verdict(uri)
    written = {"verdict": {"artifacts": [{"uri": uri, "metadata": {"passed": 0, "reason": "tip: is missing"}}]}}
    Path(invocation["outputs"]["outputFile"]).write_text(json.dumps({"artifacts": written}))


def test_a_gate_that_blocks_says_why_on_the_page(gate):
    written, folder = gate(write_verdict)
    assert set(written) == {"verdict", "summary", "record"}
    assert written["summary"]["artifacts"][0]["uri"] == f"{BASE}/DataGate/salt/summary"
    text = (folder / "DataGate" / "summary").read_text()
    frontend_rules.check_markdown(text)
    assert "| DataGate | **blocks** | tip: is missing |" in text and "| tip | **blocks** | is missing |" in text


def test_the_record_that_is_uploaded_is_the_one_under_the_root(gate):
    _, folder = gate(write_verdict)
    [record] = execution_record.read_execution_records(folder / "root")
    assert execution_record.ExecutionRecord.model_validate_json((folder / "DataGate" / "record").read_text()) == record
    assert set(record.outputs) == {"verdict"}
    kept = kept_results.find_folder(folder / "root", "run-7", "DataGate", "verdict")
    assert VerdictRecord.read_verdict(kept).reason == "tip: is missing"


def test_what_cannot_be_shown_is_told_and_fails_no_node(gate, capsys):
    def write_nothing(arguments, _):
        invocation = json.loads(arguments.json_serialized_invocation_args)
        uri = invocation["outputs"]["artifacts"]["verdict"]["artifacts"][0]["uri"]
        written = {"verdict": {"artifacts": [{"uri": uri, "metadata": {}}]}}
        Path(invocation["outputs"]["outputFile"]).write_text(json.dumps({"artifacts": written}))

    written, folder = gate(write_nothing)
    assert set(written) == {"verdict", "summary", "record"}
    assert "nothing for the page's summary" in (folder / "DataGate" / "summary").read_text()
    assert "nothing for the page's summary" in capsys.readouterr().err


def test_a_node_that_fails_writes_nothing_for_the_page(gate, tmp_path):
    def fail(*_):
        raise ValueError("no rows")

    with pytest.raises(ValueError, match="no rows"):
        gate(fail)
    assert not (tmp_path / "DataGate" / "summary").exists()
    [record] = execution_record.read_execution_records(tmp_path / "root")
    assert record.state == "failed"


def make_finished(folder: Path, node: str, **kinds: str) -> node_page.FinishedNode:
    outputs = tuple(
        StoredArtifact(id=0, type=kind, uri=str(folder / key), state="LIVE", key=key) for key, kind in kinds.items()
    )
    return node_page.FinishedNode(node, outputs, facts=PageFacts(task="binary", model="taxi"))


def test_the_trainer_shows_the_step_that_was_exported(tmp_path):
    history = {
        "best_step": 20,
        "steps": 30,
        "seconds": 1.5,
        "evaluations": [{"step": 10, "metrics": {"auc": 0.7}}, {"step": 20, "metrics": {"auc": 0.8, "loss": 0.3}}],
    }
    (tmp_path / "model" / "training").mkdir(parents=True)
    (tmp_path / "model" / "training" / "history.json").write_text(json.dumps(history))
    shown = node_page.show_node(make_finished(tmp_path, "Trainer", model="Model"), ("metrics", "record"))
    drawn = frontend_rules.draw_metrics(frontend_rules.store("metrics", shown["metrics"]))
    assert drawn == {"eval auc": 0.8, "eval loss": 0.3, "best step": 20, "steps": 30, "seconds": 1.5}


def test_an_unreadable_model_gives_no_curves_and_says_so(tmp_path, capsys):
    finished = make_finished(tmp_path, "Evaluator", evaluation="ModelEvaluation")
    assert node_page.show_node(finished, ("curves",)) == {"curves": {}}
    assert "Evaluator: nothing for the page's curves" in capsys.readouterr().err
