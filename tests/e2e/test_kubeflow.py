"""The taxi pipeline, compiled for Kubeflow and run as its backend would run it, against the same run through TFX."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import pytest
import yaml

from taxiway.pipeline.emulator.pods.restricted import DEFAULT_USER, find_obstacle
from taxiway.pipeline.kubeflow.page.outputs import FINAL_NODE
from taxiway.pipeline.tracking.store import execution_record
from tests.e2e.conftest import taxiway
from tests.pipeline.kubeflow.page import frontend_rules

pytestmark = pytest.mark.e2e

KUBEFLOW = {"image": "taxiway:test", "default": {"volumes": [{"claim": "taxiway", "mount_path": "/taxiway"}]}}
AUC_TOLERANCE = 0.01
"""Rows are written in another order by every run, so weights differ in their last digits from the first step on."""


@dataclass(frozen=True)
class Emulated:
    """An emulated run: as a restricted pod runs each step where this machine can, or why it cannot."""

    file: Path
    root: Path
    code: int
    result: dict
    unrestricted: str

    @property
    def states(self) -> dict[str, str]:
        return {name: task["state"] for name, task in self.result["tasks"].items()}


def emulate(file: Path, root: Path, *options: str) -> Emulated:
    """With a cluster's defaults; not as root, without capabilities, with a home and a root that cannot be written."""
    obstacle = find_obstacle()
    restricted = [] if obstacle else ["--restricted"]
    done = taxiway("emulate", file, "--root", root, "--json", *restricted, *options, cwd=file.parent, timeout=1800)
    assert done.stdout, done.stderr
    return Emulated(file, root, done.returncode, json.loads(done.stdout), obstacle)


def copy_root(emulated: Emulated, folder: Path) -> Path:
    """With owners: the pods' user wrote most of it."""
    subprocess.run(["cp", "--archive", str(emulated.root), str(folder / "root")], check=True)
    return folder / "root"


@pytest.fixture(scope="module")
def emulated(taxi, tmp_path_factory) -> Emulated:
    folder = tmp_path_factory.mktemp("kubeflow")
    file = folder / "pipeline.yaml"
    options = ["--set", f"resources.kubeflow={json.dumps(KUBEFLOW)}", "--set", "optimization.variants=[frozen]"]
    compiled = taxiway("compile", taxi.config, "-o", file, *options, cwd=folder)
    assert compiled.returncode == 0, compiled.stderr
    return emulate(file, folder / "root")


@pytest.fixture(scope="module")
def blocked(emulated, tmp_path_factory) -> Emulated:
    """A second run on that root, with a parameter: one step of training, which no gate lets pass.

    At the same place, which is a parameter where pods see this machine's paths; then the first run's root is put back.
    """
    folder = tmp_path_factory.mktemp("blocked")
    before = copy_root(emulated, folder)
    second = emulate(emulated.file, emulated.root, "--param", "max_steps=1")
    emulated.root.rename(folder / "second")
    before.rename(emulated.root)
    return replace(second, root=folder / "second")


def live(serving: Path) -> dict:
    newest = max((path for path in serving.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    return json.loads((newest / "assets.extra" / "provenance.json").read_text())


def test_the_compiled_pipeline_ends_in_a_pushed_model(emulated):
    assert set(emulated.states.values()) == {"succeeded"}, emulated.result["tasks"]
    assert emulated.code == 0
    assert live(emulated.root / "serving" / "taxi")["run_id"] == emulated.result["run_id"]


def test_its_metrics_are_those_of_a_local_run(emulated, taxi):
    name = yaml.safe_load(taxi.config.read_text())["name"]
    here = live(taxi.root.serving / name)["metrics"]
    there = live(emulated.root / "serving" / name)["metrics"]
    assert there["auc"] == pytest.approx(here["auc"], abs=AUC_TOLERANCE)
    assert there["example_count"] == here["example_count"]


def test_every_node_leaves_a_record_that_joins_by_uri(emulated):
    found = {record.node: record for record in execution_record.read_execution_records(emulated.root)}
    assert set(found) == set(emulated.result["tasks"]) - {FINAL_NODE}
    assert {record.run_id for record in found.values()} == {emulated.result["run_id"]}
    made = {artifact.uri for record in found.values() for each in record.outputs.values() for artifact in each}
    read = {artifact.uri for record in found.values() for each in record.inputs.values() for artifact in each}
    assert read <= made and all(uri.startswith("minio://") for uri in made)


def read_object(emulated, node, key) -> str:
    uri = emulated.result["outputs"][node][key]["uri"]
    return (emulated.root / "kfp" / "objects" / uri.replace("://", "/")).read_text()


def test_kubeflows_page_draws_what_the_nodes_wrote(emulated):
    for node in ("Evaluator", "OptimizedEvaluator"):
        drawn = emulated.result["outputs"][node]
        points = frontend_rules.draw_roc(drawn["curves"]["metadata"])
        _, rows = frontend_rules.draw_matrix(drawn["curves"]["metadata"])
        metrics = frontend_rules.draw_metrics(drawn["metrics"]["metadata"])
        assert points[-1][1:] == (1, 1) and sum(map(sum, rows)) == metrics["rows"]
        assert f"| {node} | passed |" in read_object(emulated, node, "summary")
    assert "| **frozen** |" in read_object(emulated, "ModelOptimizer", "summary")
    assert frontend_rules.draw_metrics(emulated.result["outputs"]["Trainer"]["metrics"]["metadata"])["best step"] > 0


def test_the_last_step_tells_the_whole_run(emulated):
    summary = read_object(emulated, FINAL_NODE, "summary")
    assert summary.startswith("# Live\n") and "| Pusher | done |" in summary
    report = read_object(emulated, FINAL_NODE, "report")
    assert emulated.result["run_id"] in report and "ROC: area" in report


def test_it_is_inspected_as_a_local_run_is(emulated, taxi):
    """No `metadata.db` is there: the records say what ran and where the live model comes from."""
    assert not (emulated.root / "metadata.db").exists()
    asked = {"cwd": emulated.root, "timeout": 120}
    [told] = json.loads(taxiway("runs", "--root", emulated.root, "--json", **asked).stdout)
    assert (told["run_id"], told["state"], told["model"]) == (emulated.result["run_id"], "live", "taxi")
    there, here = (
        json.loads(taxiway("lineage", "--root", root, "--format", "json", **asked).stdout)
        for root in (emulated.root, taxi.root.path)
    )
    assert {step["node"] for step in there["steps"]} == {step["node"] for step in here["steps"]}
    facts = [next(s for s in told["steps"] if s["node"] == "ExampleGen")["facts"] for told in (there, here)]
    assert facts[0]["fingerprint"] == facts[1]["fingerprint"] and facts[0]["rows"] == facts[1]["rows"]


def test_the_provenance_says_as_much_as_a_local_one(emulated, taxi):
    there, here = live(emulated.root / "serving" / "taxi"), live(taxi.root.serving / "taxi")
    assert set(there) == set(here)
    assert there["data"]["span"] == here["data"]["span"] == 0
    assert there["data"]["input_fingerprint"] == here["data"]["input_fingerprint"]
    assert there["code_fingerprint"] == here["code_fingerprint"] != ""


@pytest.fixture(scope="module")
def on_cluster(emulated, s3_server, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A volume with records alone, without the results that nodes keep beside them; the artifacts are on an S3 server;
    and how that is reached."""
    folder = tmp_path_factory.mktemp("cluster")
    shutil.copytree(emulated.root / "serving", folder / "root" / "serving")
    for record in (emulated.root / "executions").glob("*/*.json"):
        copy = folder / "root" / record.relative_to(emulated.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(record, copy)
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.url,
        region_name="us-east-1",
        aws_access_key_id=s3_server.keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=s3_server.keys["AWS_SECRET_ACCESS_KEY"],
    )
    for bucket in (emulated.root / "kfp" / "objects" / "minio").iterdir():
        client.create_bucket(Bucket=bucket.name)
        for file in (path for path in bucket.rglob("*") if path.is_file()):
            client.upload_file(str(file), bucket.name, file.relative_to(bucket).as_posix())
    reached = {**os.environ, **s3_server.environment, "TAXIWAY_CACHE": str(folder / "cache")}
    return folder / "root", reached


def test_a_clusters_results_are_read_from_its_object_store(emulated, on_cluster):
    """Metrics, variants, gates with their numbers: as on the machine that has the files."""
    root, reached = on_cluster
    [there] = json.loads(taxiway("runs", "--root", root, "--json", env=reached, cwd=root).stdout)
    [here] = json.loads(taxiway("runs", "--root", emulated.root, "--json", cwd=root).stdout)
    assert there["unread"] == "" and there["metrics"] and there["variants"]
    assert all(gate["numbers"] for gate in there["gates"])
    for each in (here, there):
        each["push"].pop("path")
    assert there == here
    shown = taxiway("show", "--root", root, env=reached, cwd=root)
    assert "frozen" in shown.stdout and "not read" not in shown.stderr


def test_a_clusters_report_and_lineage(on_cluster, tmp_path):
    root, reached = on_cluster
    page = tmp_path / "report.html"
    assert taxiway("report", "--root", root, "-o", page, env=reached, cwd=root).returncode == 0
    assert "frozen" in page.read_text() and "trip_miles" in page.read_text()
    told = taxiway("lineage", "--root", root, env=reached, cwd=root).stdout
    assert "data.csv" in told, "`ingest.json` lies beside the examples"
    assert json.loads(taxiway("versions", "--root", root, "--json", env=reached, cwd=root).stdout)


def test_without_its_object_store_a_cluster_run_is_listed_with_the_reason(on_cluster):
    root, reached = on_cluster
    nowhere = {**reached, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "TAXIWAY_CACHE": f"{root}/no-cache"}
    listed = taxiway("runs", "--root", root, env=nowhere, cwd=root)
    assert listed.returncode == 0 and "live" in listed.stdout
    said = " ".join(listed.stderr.split())
    assert "cannot be reached" in said and "AWS_ENDPOINT_URL_S3" in said


def test_each_step_ran_as_a_restricted_pod(emulated):
    """What it wrote belongs to the pods' user; what would not run so would have failed."""
    if emulated.unrestricted:
        pytest.skip(emulated.unrestricted)
    version = max((emulated.root / "serving" / "taxi").glob("[0-9]*"), key=lambda path: int(path.name))
    user = os.getuid() or DEFAULT_USER[0]
    assert {path.stat().st_uid for path in (version, *version.rglob("*"))} == {user}


def test_a_second_run_takes_from_the_cache_what_the_parameter_does_not_change(blocked):
    cached = {name for name, state in blocked.states.items() if state == "cached"}
    assert cached >= {"ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate", "Transform"}
    assert {blocked.states[name] for name in ("Trainer", "Baseline", "Evaluator")} == {"succeeded"}


def test_a_gate_that_says_no_leaves_the_live_model_and_ends_with_3(blocked, emulated):
    assert blocked.code == 3 and blocked.result["succeeded"]
    assert blocked.states["ModelOptimizer"] == "skipped" and blocked.states["Pusher"] in ("skipped", "omitted")
    blessing = blocked.result["outputs"]["Evaluator"]["blessing"]
    assert blessing["metadata"]["blessed"] == 0
    assert live(blocked.root / "serving" / "taxi") == live(emulated.root / "serving" / "taxi")
    told = json.loads(taxiway("runs", "--root", blocked.root, "--json", cwd=blocked.root, timeout=120).stdout)
    assert {run["run_id"]: run["state"] for run in told}[blocked.result["run_id"]] == "blocked"


def test_a_step_that_fails_ends_the_run_with_1_and_its_log_says_why(emulated, tmp_path):
    root = tmp_path / "root"
    failed = emulate(emulated.file, root, "--param", "data_path=/nowhere/rows.csv")
    assert failed.code == 1 and not failed.result["succeeded"]
    [name] = [name for name, state in failed.states.items() if state == "failed"]
    assert (
        set(failed.states.values()) <= {"failed", "omitted", "succeeded"} and "Pusher" not in failed.result["outputs"]
    )
    [log] = (root / "kfp" / "runs").glob(f"*/{name}.log")
    assert "/nowhere/rows.csv" in log.read_text()
    [published] = (root / "kfp" / "objects").rglob(f"{name}/*/executor-logs-0")
    assert published.read_text() == log.read_text()
