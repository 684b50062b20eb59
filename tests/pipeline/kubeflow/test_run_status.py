"""Nodes and pods in what an API server answers about a run."""

from __future__ import annotations

from taxiway.pipeline.kubeflow.run_status import read_run
from tests.pipeline.kubeflow.api_server import list_argo_tasks, make_task


def read_tasks(tasks, state="FAILED"):
    return read_run({"run_id": "r1", "state": state, "run_details": {"task_details": tasks}})


def test_nodes_of_the_pipeline_are_told_from_those_of_argo():
    status = read_tasks(list_argo_tasks({"Trainer": "FAILED", "Transform": "SUCCEEDED"}))
    assert {node.name: node.state for node in status.nodes} == {"Trainer": "FAILED", "Transform": "SUCCEEDED"}


def test_ids_of_argo_are_those_that_release_2_17_gave():
    """A Trainer of the workflow `taxi-abcde` that failed twice: the id of its second try ended with 3270819491."""
    [trainer] = read_tasks(list_argo_tasks({"Trainer": "FAILED"})).find_nodes("FAILED")
    assert trainer.pods == (
        "taxi-abcde-retry-system-container-impl-3270819491",
        "taxi-abcde-system-container-impl-3270819491",
        "taxi-abcde-3270819491",
    )


def test_nodes_and_their_pods_are_found_inside_the_pipeline_of_a_last_step():
    tasks = list_argo_tasks({"Trainer": "FAILED"}, inner=".pipeline")
    tasks += list_argo_tasks({"Report": "SUCCEEDED"}, inner=".pipeline.onExit")[4:]
    status = read_tasks(tasks)
    assert {node.name: node.state for node in status.nodes} == {"Trainer": "FAILED", "Report": "SUCCEEDED"}
    assert all(len(node.pods) == 3 for node in status.nodes)


def test_a_node_without_retries_has_one_pod():
    [node] = read_tasks(list_argo_tasks({"Trainer": "SUCCEEDED"})).nodes
    assert "taxi-abcde-system-container-impl-3073315499" in node.pods


def test_a_driver_that_failed_is_told_as_its_node():
    path = "taxi-abcde.root.Trainer"
    [node] = read_tasks([make_task("Trainer-driver", "FAILED"), make_task("root", "FAILED", f"{path}-driver")]).nodes
    assert (node.name, node.state) == ("Trainer", "FAILED")
    assert node.pods[0] == "taxi-abcde-system-container-driver-4119415165"


def test_what_follows_a_blocked_node_is_skipped():
    tasks = [make_task("Pusher-driver", "SKIPPED"), make_task("Gate-driver", "SUCCEEDED"), make_task("Gate", "SKIPPED")]
    assert [node.name for node in read_tasks(tasks).find_nodes("SKIPPED")] == ["Pusher", "Gate"]


def test_a_cached_node_is_not_skipped():
    """Its executor is."""
    tasks = [make_task("A-driver", "SUCCEEDED"), make_task("A", "SUCCEEDED"), make_task("executor", "SKIPPED")]
    assert read_tasks(tasks, "SUCCEEDED").find_nodes("SKIPPED") == []


def test_messages_of_servers_that_give_one():
    task = {**make_task("Trainer", "FAILED"), "state_history": [{"state": "FAILED", "error": {"message": "exit 1"}}]}
    [node] = read_tasks([make_task("Trainer-driver", "SUCCEEDED"), task]).nodes
    assert node.message == "exit 1"
    assert read_run({"state": "FAILED", "error": {"message": "no space"}}).message == "no space"


def test_a_server_without_run_details():
    status = read_run({"run_id": "r1", "state": "FAILED"})
    assert (status.state, status.nodes) == ("FAILED", ())


def own_task(name, state, kind="RUNTIME", **more):
    """A task as a release without ML Metadata lists it."""
    return {"name": name, "display_name": name, "run_id": "r1", "type": kind, "state": state, **more}


def test_tasks_of_a_release_without_ml_metadata():
    """Pods are listed in the order in which they were started: a driver, then each try."""
    pods = [
        {"name": name, "type": kind} for name, kind in (("d", "DRIVER"), ("first", "EXECUTOR"), ("last", "EXECUTOR"))
    ]
    tasks = [
        own_task("root", "RUNNING", "ROOT"),
        own_task("pipeline", "FAILED", "DAG"),
        own_task("Gate", "CACHED"),
        own_task("Trainer", "FAILED", pods=pods, status_metadata={"message": "exit 1"}),
        own_task("Pusher", "SKIPPED", pods=pods[:1]),
        own_task("importer", "SUCCEEDED", "IMPORTER"),
    ]
    nodes = read_run({"run_id": "r1", "state": "FAILED", "tasks": tasks}).nodes
    assert [(node.name, node.state) for node in nodes] == [
        ("Gate", "CACHED"), ("Trainer", "FAILED"), ("Pusher", "SKIPPED"), ("importer", "SUCCEEDED"),
    ]  # fmt: skip
    assert nodes[1].pods == ("last", "first") and nodes[1].message == "exit 1" and nodes[2].pods == ("d",)
