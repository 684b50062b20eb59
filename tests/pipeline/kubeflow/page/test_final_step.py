"""The container of the last step, over the records that nodes left under a root."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxiway.pipeline.kubeflow.page import final_step
from taxiway.pipeline.kubeflow.page.outputs import FINAL_NODE
from taxiway.pipeline.nodes import NODES
from tests.pipeline.kubeflow.page import frontend_rules
from tests.pipeline.lineage.clusters import Cluster
from tests.pipeline.lineage.stores import FIRST_NODES


def invocation(folder: Path, root: Path, run_id: str) -> dict:
    base = f"minio://bucket/taxi/{run_id}/{FINAL_NODE}/salt"
    artifacts = {
        name: {"artifacts": [{"name": name, "uri": f"{base}/{name}", "customPath": str(folder / name)}]}
        for name in ("metrics", "summary", "report", "executor-logs")
    }
    return {
        "inputs": {"parameterValues": {"taxiway_root": str(root)}},
        "outputs": {"artifacts": artifacts, "outputFile": str(folder / "output_metadata.json")},
    }


@pytest.fixture()
def finish(tmp_path):
    """What the step writes: summary, report, metrics."""

    def run(root: Path, run_id: str):
        folder = tmp_path / "pod"
        content = invocation(folder, root, run_id)
        final_step.run_final_step(
            [
                "--node",
                FINAL_NODE,
                "--json_serialized_invocation_args",
                json.dumps(content),
                "--nodes",
                json.dumps([node for node in NODES if node != "Tuner"]),  # as the compiler names them
            ]
        )
        written = json.loads((folder / "output_metadata.json").read_text())["artifacts"]
        assert set(written) == {"metrics", "summary", "report"}
        [metrics] = written["metrics"]["artifacts"]
        assert metrics["uri"].startswith("minio://bucket/")
        drawn = frontend_rules.draw_metrics(frontend_rules.store("metrics", metrics["metadata"]))
        summary = (folder / "summary").read_text()
        frontend_rules.check_markdown(summary)
        return summary, (folder / "report").read_text(), drawn

    return run


def test_a_run_that_pushed(tmp_path, finish):
    root = tmp_path / "root"
    cluster = Cluster(root)
    cluster.run("run-1")
    summary, report, metrics = finish(root, "run-1")
    assert summary.startswith("# Live\n") and "is live." in summary
    assert "<html" in report and "run-1" in report
    assert metrics["version"] >= 1
    assert (root / "reports" / "run-1.html").read_text() == report


def test_a_failed_step_is_told_and_what_is_behind_it(tmp_path, finish):
    root = tmp_path / "root"
    Cluster(root).run("run-1", nodes=(*FIRST_NODES, "Transform"), failed="Transform")
    summary, report, _ = finish(root, "run-1")
    assert summary.startswith("# Failed\n\nTransform: ValueError: no rows\n")
    assert "| Transform | **failed** |" in summary and "| Pusher | skipped |  | behind Transform |" in summary
    assert "no rows" in report


def test_a_step_that_was_killed_leaves_no_record_and_is_told(tmp_path, finish):
    root = tmp_path / "root"
    Cluster(root).run("run-1", nodes=(*FIRST_NODES, "Transform", "Baseline"))
    summary, _, _ = finish(root, "run-1")
    assert summary.startswith("# Ended without a word\n\nTrainer: it left no record")
    assert "| Trainer | **interrupted** |" in summary


def test_without_any_record_the_step_says_so_and_ends_well(tmp_path, finish):
    summary, report, metrics = finish(tmp_path / "root", "run-1")
    assert "cannot be told" in summary and "cannot be told" in report and metrics == {}


def test_another_runs_records_are_not_this_runs(tmp_path, finish):
    root = tmp_path / "root"
    Cluster(root).run("run-10")
    summary, _, _ = finish(root, "run-1")
    assert "cannot be told" in summary
