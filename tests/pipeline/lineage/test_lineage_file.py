"""A version's folder tells the whole story, on a machine without the database."""

import json
import os
import shutil
from pathlib import Path

import pytest

from taxiway.components.contract import LINEAGE_FILE, LINEAGE_VARIABLE
from taxiway.components.errors import StoreError
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions import push
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.lineage import LineageGraph, lineage_file_writer
from taxiway.pipeline.lineage.steps import list_steps
from taxiway.pipeline.lineage.why import explain_version
from taxiway.pipeline.root import Root as Place
from tests.pipeline.lineage.stores import BEFORE_THE_PUSH, FIRST_NODES, Root, memory_folder


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A version, pushed as the Pusher does it while a run is under way, copied elsewhere; its root is gone."""
    with memory_folder() as folder:
        root = Root(folder / "root")
        root.run("run-1", span=4)
        root.run("run-2", span=4, cached=(*FIRST_NODES, "Transform"), nodes=BEFORE_THE_PUSH)
        lineage_file_writer.prepare_lineage(Place.at(root.path), "run-2")
        model = folder / "model"
        model.mkdir()
        (model / "saved_model.pb").write_text("bytes")
        provenance = {"model": "taxi", "run_id": "run-2", "metric": "auc", "quality": 0.9}
        base = folder / "serving" / "taxi"
        lineage = os.environ.pop(LINEAGE_VARIABLE)
        version = push.push_model(model, base, "taxi", provenance, ServingConfig(), lineage=lineage).version
        target = tmp_path_factory.mktemp("elsewhere") / str(version)
        shutil.copytree(base / str(version), target)
        ServingDirectory(base).push(changed(model), {"model": "taxi", "run_id": "run-3"})
        back = ServingDirectory(base).rollback(version).path
        yield target, shutil.copytree(back, target.with_name("back"))


def changed(model):
    (model / "saved_model.pb").write_text("other bytes")
    return model


def test_a_copied_version_carries_its_whole_lineage(copied, tmp_path):
    graph = LineageGraph.open(tmp_path, str(copied[0]))
    [focus] = graph.focus
    version = graph.node(focus)
    assert (version.type, version.run) == ("a copy", "run-2")
    upstream = graph.upstream(version.key)
    assert {node.name for node in upstream.where(kind="execution")} == set(BEFORE_THE_PUSH)
    assert {node.uri for node in upstream.where(kind="data")} >= {"/rows/span-4.csv", "/rows/schema.pbtxt"}
    assert {node.type for node in graph.parents(version.key)} == {"Model", "ModelBlessing", "InfraBlessing"}
    assert all(
        len(str(value)) <= lineage_file_writer.LONG
        for node in graph.where(kind="artifact")
        for value in node.properties
    )


def test_steps_and_the_paragraph_need_no_root(copied, tmp_path):
    graph = LineageGraph.open(tmp_path, str(copied[0]))
    steps = {step.node: step for step in list_steps(graph, Place.at(tmp_path))}
    assert steps["Trainer"].facts["steps"] == 30
    assert steps["ExampleGen"].run == "run-1", "taken from the cache: the step is that of the run that made it"
    assert "of span 4" in explain_version(graph, Place.at(tmp_path)).paragraph


def test_a_rollback_keeps_the_lineage_of_its_bytes(copied, tmp_path):
    graph = LineageGraph.open(tmp_path, str(copied[1]))
    assert {node.name for node in graph.where(kind="execution")} == set(BEFORE_THE_PUSH)


def test_without_the_file_the_provenance_is_read(copied, tmp_path):
    version = tmp_path / copied[0].name
    shutil.copytree(copied[0], version)
    (version / LINEAGE_FILE).unlink()
    graph = LineageGraph.open(tmp_path, str(version))
    assert graph.node(graph.focus[0]).run == "run-2"


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"version": 1, "nodes": [{}]})])
def test_a_damaged_file_is_named(copied, tmp_path, content):
    version = tmp_path / copied[0].name
    shutil.copytree(copied[0], version)
    (version / LINEAGE_FILE).write_text(content)
    with pytest.raises(StoreError, match=r"lineage\.json is damaged"):
        LineageGraph.open(tmp_path, str(version))


def test_a_store_that_cannot_be_read_stops_no_push(tmp_path):
    lineage_file_writer.prepare_lineage(Place.at(tmp_path), "run-1")
    assert LINEAGE_VARIABLE not in os.environ


def test_in_a_cluster_the_records_of_earlier_nodes_are_read(tmp_path, monkeypatch):
    """The entry point of the Pusher's container finds the records of the nodes before it under the mounted root."""
    from taxiway.pipeline.kubeflow import entrypoint
    from tests.pipeline.kubeflow.test_entrypoint import arguments, invocation
    from tests.pipeline.lineage.clusters import Cluster

    root = tmp_path / "root"
    Cluster(root).run("run-7", nodes=BEFORE_THE_PUSH)
    content = json.loads(json.dumps(invocation(tmp_path, root)).replace("/Trainer/", "/Pusher/"))
    seen = {}

    def pushes(namespace, beam):
        seen.update(json.loads(Path(os.environ[LINEAGE_VARIABLE]).read_text()))

    monkeypatch.setenv(LINEAGE_VARIABLE, "stale")
    entrypoint.run_node([word.replace("Trainer", "Pusher") for word in arguments(content)], pushes)
    graph = LineageGraph.from_json(seen)
    assert {node.name for node in graph.where(kind="execution")} == set(BEFORE_THE_PUSH)
    assert {graph.nodes[key].type for key in graph.focus} == {"Model", "ModelBlessing", "InfraBlessing"}
    assert {step["node"] for step in graph.steps} == set(BEFORE_THE_PUSH)
