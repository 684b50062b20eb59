"""A root from before `taxiway` was the one import name is read, asked and kept in order by this code.

The archive holds what commit 6a1a729 wrote: see `tests/fixtures/make_old_root.py`. What a new run makes of it is in
`tests/e2e/test_old_root.py`.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from taxiway.components.transform.config import BUILT_IN
from taxiway.pipeline import cli
from taxiway.pipeline.config import load_config
from taxiway.pipeline.tracking import artifact_digests
from tests.fixtures.old_root import unpack_old_root


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """For tests that only read."""
    return unpack_old_root(tmp_path_factory.mktemp("old"))


@pytest.fixture
def own(tmp_path):
    """For tests that change it."""
    return unpack_old_root(tmp_path)


@pytest.fixture
def ask(capfd):
    """Runs a command and parses what it printed with `--json`."""

    def run(*arguments, code=0):
        capfd.readouterr()
        assert cli.run([*map(str, arguments), "--json"]) == code, capfd.readouterr().err
        return json.loads(capfd.readouterr().out)

    return run


def list_run_ids(old):
    """Of the two runs, in the order in which they ran."""
    return sorted(summary.parent.name for summary in (old.root / "runs").glob("*/summary.json"))


def test_the_archive_is_from_before(old):
    with sqlite3.connect(old.root / "metadata.db") as store:
        types = {name for (name,) in store.execute("SELECT name FROM Type")}
    assert "components.gates.component.CuratedSchema" in types
    assert not any(name.startswith(("taxiway.components", "taxiway.pipeline")) for name in types)
    assert "components.transform.preprocessing.preprocessing_fn" in old.config.read_text()


def test_runs_and_show(old, ask):
    first, second = list_run_ids(old)
    found = ask("runs", "--root", old.root)
    assert [(run["run_id"], run["state"], run["variants"][-1]["variant"]) for run in found] == [
        (second, "live", "frozen"),
        (first, "live", "frozen"),
    ]
    shown = ask("show", first, "--root", old.root)
    assert [node["node"] for node in shown["nodes"]][-1] == "Pusher"
    assert {node["state"] for node in shown["nodes"]} == {"done"}
    evaluations = [each for each in shown["artifacts"] if each["type"] == "ModelEvaluation"]
    assert [each["node"] for each in evaluations] == ["Evaluator", "OptimizedEvaluator"]


def test_lineage_goes_from_the_live_version_back_to_files_and_schema(old, ask):
    told = ask("lineage", "--root", old.root)
    steps = {step["node"]: step for step in told["steps"]}
    assert set(steps) >= {"ExampleGen", "SchemaGen", "DataGate", "Transform", "Trainer", "ModelOptimizer", "Pusher"}
    assert steps["ExampleGen"]["facts"]["rows"]
    data = {node["name"]: node["type"] for node in told["nodes"] if node["kind"] == "data"}
    assert data == {"orders-1.csv": "rows", "schema.pbtxt": "schema"}


def test_lineage_goes_from_a_file_forward_to_versions(old, ask):
    told = ask("lineage", old.config.parent / "data" / "orders-1.csv", "--downstream", "--root", old.root)
    versions = {node["name"] for node in told["nodes"] if node["kind"] == "version"}
    assert versions >= {f"orders {each['version']}" for each in ask("versions", "--root", old.root)[-1:]}


def test_a_copied_version_tells_its_own_lineage(old, ask, tmp_path):
    [live] = [version for version in ask("versions", "--root", old.root) if version["live"]]
    copy = shutil.copytree(live["path"], tmp_path / "elsewhere" / "7")
    steps = {step["node"]: step for step in ask("lineage", copy, "--root", tmp_path / "none")["steps"]}
    assert {"ExampleGen", "SchemaGen", "Trainer", "ServingValidator"} <= set(steps)
    assert steps["ExampleGen"]["facts"]["rows"]["train"] == 480


@pytest.mark.parametrize(
    ("choice", "shown"),
    [("--why", "auc"), ("--format=text", "auc"), ("--format=dot", "digraph"), ("--format=html", "auc")],
)
def test_lineage_is_shown_in_every_form(old, capfd, choice, shown):
    assert cli.run(["lineage", "--root", str(old.root), choice]) == 0
    assert shown in capfd.readouterr().out


def test_versions_say_which_run_and_which_rollback_made_them(old, ask):
    first, second = list_run_ids(old)
    back, newer, older = ask("versions", "--root", old.root)
    assert (older["provenance"]["run_id"], newer["provenance"]["run_id"]) == (first, second)
    assert back["live"] and back["provenance"]["rollback_of"] == newer["version"]
    assert back["digest"] == older["digest"]


def test_what_is_live_is_what_was_pushed(old, ask):
    [live] = [version for version in ask("versions", "--root", old.root) if version["live"]]
    assert ask("verify", live["path"])


def test_artifacts_have_the_digests_that_were_recorded(own):
    """Otherwise a run sets them aside as damaged, and lineage tells of what is gone."""
    from tfx.orchestration import metadata

    with metadata.Metadata(metadata.sqlite_metadata_connection_config(str(own.root / "metadata.db"))) as opened:
        assert artifact_digests.set_aside_damaged(opened.store) == []
        weights = next((own.root / "artifacts" / "Trainer" / "model").glob("*/training/weights.h5"))
        weights.write_bytes(b"other")
        [damaged] = artifact_digests.set_aside_damaged(opened.store)
    assert (damaged.what, Path(damaged.uri)) == ("changed", weights.parents[1])


def test_compare_and_doctor(old, ask, monkeypatch):
    monkeypatch.setattr("taxiway.pipeline.maintenance.check_machine.examine_machine", lambda root: [])
    first, second = list_run_ids(old)
    compared = ask("compare", first, second, "--root", old.root)
    assert compared
    assert [(finding["name"], finding["ok"]) for finding in ask("doctor", "--root", old.root)] == [("store", True)]


def test_gc_removes_what_no_version_came_from(own, ask):
    first, second = list_run_ids(own)
    for version in ask("versions", "--root", own.root):
        if version["provenance"]["run_id"] == first:
            shutil.rmtree(version["path"])
    choice = ("--root", own.root, "--keep-runs", "1", "--older-than", "0")
    planned = ask("gc", *choice, "--dry-run")
    assert planned["folders"] and all(Path(folder).exists() for folder in planned["folders"])
    removed = ask("gc", *choice)
    assert (removed["artifacts"], removed["folders"]) == (planned["artifacts"], planned["folders"])
    assert not any(Path(folder).exists() for folder in removed["folders"])
    [left] = ask("versions", "--root", own.root)
    assert left["provenance"]["run_id"] == second
    assert {"ExampleGen", "Trainer"} <= {step["node"] for step in ask("lineage", "--root", own.root)["steps"]}


def test_a_rollback_goes_on_where_the_old_one_ended(own, ask):
    before = ask("versions", "--root", own.root)
    made = ask("rollback", before[1]["version"], "--root", own.root)
    assert made["not_recorded"] == ""
    after = ask("versions", "--root", own.root)
    assert [each["version"] for each in after[1:]] == [each["version"] for each in before]
    assert after[0]["version"] == made["version"] > before[0]["version"]
    steps = {step["node"] for step in ask("lineage", "--root", own.root)["steps"]}
    assert {"ExampleGen", "Trainer"} <= steps


def test_the_emulated_root_is_read_from_its_records(old, ask):
    [run] = ask("runs", "--root", old.emulated)
    assert (run["state"], run["model"]) == ("live", "orders")
    told = ask("lineage", "--root", old.emulated)
    assert {"ExampleGen", "SchemaGen", "Trainer", "Pusher"} <= {step["node"] for step in told["steps"]}
    assert [node["name"] for node in told["nodes"] if node["kind"] == "data"] == ["orders-2.csv"]
    [version] = ask("versions", "--root", old.emulated)
    assert cli.run(["verify", version["path"]]) == 0


def test_records_of_the_schema_are_known_by_the_executor_s_former_place(own, ask):
    """On a volume the schema has a path; this run was given its text."""
    [record] = (own.emulated / "executions").glob("*/SchemaGen.json")
    content = json.loads(record.read_text())
    assert content["executor"] == "components.gates.executor.SchemaExecutor"
    content["properties"]["path"] = "/taxiway/schema.pbtxt"
    record.write_text(json.dumps(content))
    told = ask("lineage", "--root", own.emulated)
    data = {node["uri"]: node["type"] for node in told["nodes"] if node["kind"] == "data"}
    assert data["/taxiway/schema.pbtxt"] == "schema"


def test_the_old_configuration_has_the_built_in_function(old):
    assert load_config(old.config).preprocessing.function == BUILT_IN


def test_an_old_compiled_pipeline_must_be_compiled_anew(own, capfd):
    """Its containers start a module that only an image of then has."""
    compiled = own.config.with_name("orders-kubeflow.yaml")
    assert cli.run(["emulate", str(compiled), "--root", str(own.folder / "again")]) == 2
    assert "taxiway compile" in capfd.readouterr().err
    assert not (own.folder / "again").exists()
