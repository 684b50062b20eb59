"""A version that is live, and that no record tells of: a full disk or a kill after the rename."""

import shutil

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.errors import StoreError, TaxiwayError
from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.root import Root as Place
from taxiway.pipeline.tracking import history, run_record, unrecorded_pushes
from taxiway.pipeline.tracking.store.metadata_store import RunStore
from tests.pipeline.lineage.stores import DAG, Root, memory_folder


@pytest.fixture
def root():
    """Two runs; the second one's Pusher failed after its push, and its summary says so."""
    with memory_folder() as folder:
        made = Root(folder / "root")
        made.run("run-0")
        made.run("run-1", span=1, nodes=[node for node in DAG if node != "Pusher"])
        made._push("run-1", pb.Artifact(), files=True)
        kind = made._type(pb.ExecutionType, DAG["Pusher"][0])
        pusher = pb.Execution(type_id=kind, last_known_state=pb.Execution.FAILED)
        contexts = [made._context("pipeline_run", "run-1"), made._context("node", "taxi.Pusher")]
        model = made._stored(pb.Artifact(id=made.made["ModelOptimizer.model"]))
        read = [(model, made._event(pb.Event.INPUT, "model"))]
        made.mlmd.put_execution(pusher, read, contexts, reuse_context_if_already_exist=True)
        summary = {
            "run_id": "run-1", "state": "failed", "exit_code": 1, "model": "taxi", "started": made.clock,
            "reason": "Pusher: no space left", "nodes": [{"node": "Pusher", "state": "failed"}],
        }  # fmt: skip
        place = Place.at(made.path)
        place.run_folder("run-1").mkdir(parents=True)
        run_record.write_summary(run_record.RunRecord.model_validate(summary), place.run_folder("run-1"))
        yield made


def test_commands_that_read_tell_it(root):
    place = Place.at(root.path)
    before = place.metadata.read_bytes()
    run = history.find_run(place, "run-1")
    assert run.push.version == root.serving.find_live().number
    assert "is live, but was not recorded: Pusher: no space left" in run.reason
    assert [each.push.version for each in history.list_runs(place) if each.run_id == "run-1"] == [run.push.version]
    assert place.metadata.read_bytes() == before, "and write nothing"


def test_the_next_run_records_it_once(root):
    place, live = Place.at(root.path), root.serving.find_live()
    assert unrecorded_pushes.record_missing_pushes(place) == [
        f"Version {live.number} of taxi, pushed by run run-1, was not recorded; now it is."
    ]
    assert unrecorded_pushes.record_missing_pushes(place) == []
    run = history.find_run(place, "run-1")
    assert (run.state, run.exit_code, run.push.version) == ("live", 0, live.number)
    [pusher] = [each for each in RunStore(place.metadata).list_run_executions("run-1") if each.node == "Pusher"]
    assert pusher.state == "COMPLETE"
    [pushed] = RunStore(place.metadata).list_outputs(pusher.id)
    assert pushed.properties["pushed_version"] == str(live.number)
    graph = LineageGraph.open(root.path, str(live.number))
    assert {node.name for node in graph.where(kind="execution")} >= {"ExampleGen", "Trainer"}


def test_a_rollback_is_not_the_push_whose_provenance_it_carries(root):
    place = Place.at(root.path)
    pushed = root.serving.find_live().number
    root.serving.rollback()
    root.serving.rollback(pushed)
    assert history.find_run(place, "run-1").push.version == pushed
    shutil.rmtree(place.serving / "taxi" / str(pushed))
    assert history.find_run(place, "run-1").push is None


def test_the_error_says_that_the_version_is_live(root):
    place, live = Place.at(root.path), root.serving.find_live()
    for error in (OSError(28, "No space left on device"), StoreError("metadata.db is full.", "Free some.")):
        said = unrecorded_pushes.explain_error(error, place, "taxi", "run-1")
        assert isinstance(said, TaxiwayError)
        assert said.problem.startswith(f"Version {live.number} of taxi is live, but could not be recorded: ")
        assert "The next run records it" in said.remedy
        assert unrecorded_pushes.explain_error(said, place, "taxi", "run-1") is said
        assert unrecorded_pushes.explain_error(error, place, "taxi", "run-2") is error, "another run's version"
    assert unrecorded_pushes.explain_error(error, place, "other", "run-1") is error
