"""An emulated or Kubeflow run is inspected exactly as a local one."""

import inspect
import json
import shutil
import time

import pytest

from taxiway.components.errors import StoreError, UsageError
from taxiway.pipeline import report
from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.lineage.steps import list_steps
from taxiway.pipeline.lineage.why import explain_version
from taxiway.pipeline.maintenance import check_store, gc
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.root import Root as Place
from taxiway.pipeline.tracking import history, reconstruction
from taxiway.pipeline.tracking.store.execution_store import FIRST_ID, CombinedStore, ExecutionRecordStore
from taxiway.pipeline.tracking.store.metadata_store import RunStore
from tests.pipeline.lineage.clusters import Cluster
from tests.pipeline.lineage.stores import BEFORE_THE_PUSH, DAG, FIRST_NODES, Root, memory_folder

CACHED = (*FIRST_NODES, "Transform", "Trainer")


@pytest.fixture(scope="module")
def root():
    """Two runs: the second took what comes before the Evaluator from the cache, and pushed."""
    with memory_folder() as folder:
        cluster = Cluster(folder / "root")
        cluster.run("aaaa-1", nodes=(*CACHED, "Baseline", "Evaluator"))
        cluster.run("bbbb-2", cached=CACHED)
        yield Place.at(cluster.root)


def test_runs_and_how_they_ended(root):
    newest, oldest = history.list_runs(root)
    assert (newest.run_id, newest.state, newest.model, newest.main_metric) == ("bbbb-2", "live", "taxi", "auc")
    assert newest.push.pushed and newest.push.version
    assert (oldest.state, oldest.orchestrator) == ("done", reconstruction.ELSEWHERE)
    assert history.find_run(root, "aaaa").run_id == "aaaa-1"


def test_nodes_from_the_cache_are_told(root):
    states = {node.node: node.state for node in history.find_run(root, "bbbb").nodes}
    assert [node for node, state in states.items() if state == "cached"] == list(CACHED)
    assert set(states) == set(DAG)


def test_numbers_are_whole_again_and_places_are_folders(root):
    examples = next(a for a in history.list_artifacts(root, history.find_run(root, None)) if a["output"] == "examples")
    assert examples["uri"] == str(root.path / "kfp/objects/minio/bucket/taxi/aaaa-1/ExampleGen/examples")
    [model] = [a for a in RunStore.open_root(root).list_outputs(FIRST_ID) if a.type == "Examples"]
    assert (model.properties["rows_train"], model.properties["span"]) == (100, 3)
    assert model.properties["object"] == "minio://bucket/taxi/aaaa-1/ExampleGen/examples"


def test_the_live_version_tells_both_runs(root):
    graph = LineageGraph.open(root.path)
    assert {node.name for node in graph.where(kind="execution")} == {*BEFORE_THE_PUSH, "Pusher"}
    assert {node.run for node in graph.where(name="Trainer")} == {"aaaa-1"}
    assert {node.uri for node in graph.where(kind="data")} == {"/rows/day.csv", "/rows/schema.pbtxt"}
    steps = {step.node: step for step in list_steps(graph, root)}
    assert steps["ExampleGen"].facts["span"] == 3
    assert steps["Trainer"].facts["parameters"]["epochs"] == 3
    assert "span 3" in explain_version(graph, root).paragraph


@pytest.mark.parametrize("target", ["/rows/day.csv", "minio://bucket/taxi/aaaa-1/ExampleGen/examples", "aaaa-1"])
def test_what_a_bad_span_reached(root, target):
    graph = LineageGraph.open(root.path, target, downstream=True)
    assert [node.type for node in graph.where(kind="version")] == ["live"]
    assert {node.run for node in graph.where(name="Pusher")} == {"bbbb-2"}


def test_the_configuration_that_the_nodes_were_told(root):
    config = RunData.open_run(root, "bbbb").config
    assert config["label"] == {"column": "tip"} and config["training"]["optimizer"] == {"name": "adam"}
    assert config["optimization"] == {"objective": "size"} and config["parameters"]["span"] == "latest"


def test_a_report_is_written_of_what_is_new(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.run("aaaa-1", nodes=("ExampleGen",))
    before = report.list_recorded_runs(tmp_path)
    assert report.write_new_reports(tmp_path, before) == []
    cluster.run("bbbb-2", nodes=("ExampleGen", "StatisticsGen"), failed="StatisticsGen")
    [line] = report.write_new_reports(tmp_path, before)
    page = tmp_path / "reports" / "bbbb-2.html"
    assert line == f"report: {page}" and "ValueError: no rows" in page.read_text()


def test_a_failed_node_says_why(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.run("run-1", nodes=("ExampleGen", "StatisticsGen"), failed="StatisticsGen")
    run = history.find_run(Place.at(tmp_path), None)
    assert (run.state, run.exit_code, run.reason) == ("failed", 1, "StatisticsGen: ValueError: no rows")
    [node] = LineageGraph.open(tmp_path, "run-1").where(name="StatisticsGen")
    assert (node.state, node.properties["error"]) == ("FAILED", "ValueError: no rows")


def test_a_clusters_objects_are_elsewhere(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.run("run-1", emulated=False)
    place = Place.at(tmp_path)
    run = history.find_run(place, None)
    assert (run.state, run.push.version) == ("live", 7)
    assert next((gate.gate, gate.passed) for gate in run.gates) == ("DataGate", True)
    assert check_store.examine_store(place) == []
    graph = LineageGraph.open(tmp_path, "run-1")
    assert all(node.uri.startswith("minio://") for node in graph.where(kind="artifact"))


def test_beside_local_runs_ids_never_meet(tmp_path):
    local = Root(tmp_path)
    local.run("local-1", span=1)
    cluster = Cluster(tmp_path, began=time.time() + 1000)
    cluster.run("bbbb-2")
    assert [run.run_id for run in history.list_runs(Place.at(tmp_path))] == ["bbbb-2", "local-1"]
    graph = LineageGraph.whole(tmp_path)
    assert {node.run for node in graph.where(name="Trainer")} == {"local-1", "bbbb-2"}
    trainers = {node.run: node.id for node in graph.where(name="Trainer")}
    assert trainers["local-1"] < FIRST_ID <= trainers["bbbb-2"]
    for run, trainer in trainers.items():
        assert {n.run for n in LineageGraph.open(tmp_path, f"execution:{trainer}").where(kind="execution")} == {run}
    assert {n.run for n in LineageGraph.open(tmp_path).where(name="Pusher")} == {"bbbb-2"}
    assert gc.collect(Place.at(tmp_path), keep_runs=1, dry_run=True).artifacts == ()


def test_what_is_gone_is_said_and_nothing_is_collected(root, tmp_path):
    copy = tmp_path / "root"
    shutil.copytree(root.path, copy)
    shutil.rmtree(copy / "kfp/objects/minio/bucket/taxi/aaaa-1/Trainer")
    troubles = check_store.fix_store(Place.at(copy))
    assert {trouble.kind for trouble in troubles} == {"artifact"}
    assert all("Trainer" in trouble.what and not trouble.mends for trouble in troubles)
    with pytest.raises(UsageError, match="object store's"):
        gc.collect(Place.at(copy))


def test_a_damaged_record_is_named(tmp_path):
    Cluster(tmp_path).run("run-1", nodes=("ExampleGen",))
    file = tmp_path / "executions/run-1/ExampleGen.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": 9}))
    with pytest.raises(StoreError, match=r"ExampleGen\.json is no execution record"):
        history.list_runs(Place.at(tmp_path))


def _list_questions(store_class) -> dict[str, inspect.Signature]:
    methods = inspect.getmembers(store_class, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in methods if name.startswith("get_")}


def test_both_stores_together_answer_every_question_of_the_records():
    assert _list_questions(CombinedStore) == _list_questions(ExecutionRecordStore)


def test_what_neither_store_answers_is_an_attribute_error():
    with pytest.raises(AttributeError):
        CombinedStore(None, None).get_artifact_types()
