"""What an API server answers about a run: its state, the nodes of the pipeline, and the pods that have their logs.

Up to release 2.17 the server lists every node of the Argo workflow, under `run_details.task_details`: two for each
node of the pipeline (`Trainer-driver`, `Trainer`), and `root`, `root-driver`, `executor`, `executor(0)`, the workflow,
with a last step also the DAG that holds the other nodes, and its exit hook.
None has an id of its own; the `pod_name` of a child is an id of Argo: the workflow's name, and a hash of the path of
names to the child. So ids, and from them names of pods, are computed.

A release without ML Metadata answers without `run_details`; asked with `view=FULL`, it lists its own tasks, with their
pods, under `tasks` (`PipelineTask` of `run.proto`). A node that was never started, behind a blocked one, is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from taxiway.pipeline.kubeflow.page.specification import INNER

FINISHED = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
DRIVER = "-driver"
DAGS = ("root", INNER)
PLACES = ("root", f"root.{INNER}", f"root.{INNER}.onExit")
"""Paths of the DAGs that hold tasks: of a pipeline without a last step, of one with it, and of the last step."""
EXECUTOR_TEMPLATES = ("retry-system-container-impl", "system-container-impl")
DRIVER_TEMPLATES = ("system-container-driver",)
MAX_TRIES = 100
_NODE_TYPES = ("RUNTIME", "IMPORTER")
"""Types of tasks that are nodes of the pipeline; others are the DAGs around them."""
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


@dataclass(frozen=True)
class NodeStatus:
    """One node of the pipeline in a run.

    Attributes:
        name: Id of the node, such as `Trainer`.
        state: State as the server names it, such as `FAILED`.
        message: Reason that the server gives; often empty.
        pods: Names under which the server may know the pod of the last try, the most likely first.
    """

    name: str
    state: str
    message: str
    pods: tuple[str, ...]


@dataclass(frozen=True)
class RunStatus:
    """A run.

    Attributes:
        state: `PENDING`, `RUNNING`, ..., or one of `FINISHED`.
        message: Reason that the server gives; often empty.
        nodes: Nodes of the pipeline that the server lists; empty where it lists none.
    """

    state: str
    message: str
    nodes: tuple[NodeStatus, ...]

    def find_nodes(self, state: str) -> list[NodeStatus]:
        """The nodes in this state."""
        return [node for node in self.nodes if node.state == state]


def read_run(answer: Mapping[str, Any]) -> RunStatus:
    """What a server answered about a run.

    Args:
        answer: JSON values of `GET /apis/v2beta1/runs/ID`.
    """
    details = (answer.get("run_details") or {}).get("task_details") or []
    nodes = _list_nodes(details) if details else _list_own_tasks(answer.get("tasks") or [])
    return RunStatus(str(answer.get("state") or "PENDING"), _read_message(answer), tuple(nodes))


def _list_own_tasks(tasks: list[Mapping[str, Any]]) -> Iterator[NodeStatus]:
    """The nodes of a release without ML Metadata."""
    for task in tasks:
        if task.get("type", "RUNTIME") in _NODE_TYPES:
            message = str((task.get("status_metadata") or {}).get("message") or "")
            state = str(task.get("state") or "PENDING")
            yield NodeStatus(str(task.get("name", "")), state, message, tuple(_list_own_pods(task)))


def _list_own_pods(task: Mapping[str, Any]) -> list[str]:
    """A task's pods, the last try's first; the driver's where no executor was started."""
    pods = [(pod.get("type"), str(pod["name"])) for pod in task.get("pods") or () if pod.get("name")]
    started = [name for kind, name in pods if kind == "EXECUTOR"] or [name for _, name in pods]
    return started[::-1]


def _list_nodes(tasks: list[Mapping[str, Any]]) -> Iterator[NodeStatus]:
    """Nodes of the pipeline among the nodes of the workflow; all tasks where none has a driver."""
    by_name = {str(task.get("display_name", "")): task for task in tasks}
    drivers = (name.removesuffix(DRIVER) for name in by_name if name.endswith(DRIVER))
    nodes = [name for name in drivers if name not in DAGS]
    ids = _list_ids(tasks)
    for name in nodes or by_name:
        driver, task = by_name.get(name + DRIVER, {}), by_name.get(name, {})
        broken = driver.get("state") == "FAILED"
        told = driver if driver.get("state") in ("FAILED", "SKIPPED") else task  # then the node was never started
        state = str(told.get("state") or "PENDING")
        yield NodeStatus(name, state, _read_message(told), tuple(_list_pods(name, ids, driver=broken)))


def _read_message(task: Mapping[str, Any]) -> str:
    history = [entry.get("error") for entry in task.get("state_history") or ()]
    messages = [error.get("message", "") for error in (*history, task.get("error")) if error]
    return next((message for message in reversed(messages) if message), "")


def _list_ids(tasks: list[Mapping[str, Any]]) -> list[str]:
    return [child["pod_name"] for task in tasks for child in task.get("child_tasks") or () if child.get("pod_name")]


def _list_pods(node: str, ids: list[str], *, driver: bool) -> Iterator[str]:
    """Names of the pod of a node's last try: those that Argo gives, `WORKFLOW-TEMPLATE-HASH`, then the id itself."""
    if not ids:
        return
    workflow = ids[0].rpartition("-")[0]
    found = _find_id(workflow, node + DRIVER if driver else node, ids, driver=driver)
    if found:
        number = found.rpartition("-")[2]
        for template in DRIVER_TEMPLATES if driver else EXECUTOR_TEMPLATES:
            yield f"{workflow}-{template}-{number}"
        yield found


def _find_id(workflow: str, node: str, ids: list[str], *, driver: bool) -> str:
    """Argo's id of a node's last try; empty where the server does not list it."""
    nodes = [f"{workflow}.{place}.{node}" for place in PLACES]
    tries = [f".executor({number})" for number in reversed(range(MAX_TRIES))]
    paths = [f"{path}{end}" for path in nodes for end in ([""] if driver else [*tries, ".executor"])]
    return next((found for found in (f"{workflow}-{_hash_name(path)}" for path in paths) if found in ids), "")


def _hash_name(name: str) -> int:
    """FNV-1a of 32 bits, as Argo makes ids of names (`util/k8s.go`)."""
    hashed = _FNV_OFFSET
    for byte in name.encode():
        hashed = (hashed ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return hashed
