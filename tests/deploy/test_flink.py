"""The manifests of `deploy/flink`: what the API takes, and that their parts name one another.

The operator's own resource is judged where it holds Kubernetes' objects; no operator has seen it here.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxiway.pipeline.resources import BeamConfig
from tests.deploy.kubernetes_objects import find_mistakes

HOME = Path(__file__).parents[2]
FOLDER = HOME / "deploy" / "flink"


def _read(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def test_the_api_takes_the_job_server() -> None:
    for document in _read("job-server.yaml"):
        assert find_mistakes(document) == []


@pytest.fixture
def cluster() -> dict[str, Any]:
    [document] = _read("session-cluster.yaml")
    return document["spec"]


def test_the_api_takes_the_pods_of_the_task_managers(cluster: dict[str, Any]) -> None:
    """The operator adds Flink's own container to them."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **cluster["taskManager"]["podTemplate"]}
    assert find_mistakes(pod) == []


def test_workers_are_where_steps_say(cluster: dict[str, Any]) -> None:
    """The pool, in Kubernetes and on a laptop, is our module at the port that `resources.beam` has by default."""
    [workers] = cluster["taskManager"]["podTemplate"]["spec"]["containers"]
    port = BeamConfig.model_fields["worker_pool"].default.rpartition(":")[2]
    assert workers["args"] == [f"--service_port={port}"]
    [compose] = _read("compose.yaml")
    for command in (workers["command"], compose["services"]["workers-1"]["entrypoint"]):
        assert int(port) == importlib.import_module(command[-1]).DEFAULT_PORT


def test_the_parts_name_one_another(cluster: dict[str, Any]) -> None:
    deployment, service = _read("job-server.yaml")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    [document] = _read("session-cluster.yaml")
    assert f"--flink-master={document['metadata']['name']}-rest:8081" in arguments
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    assert f"--job-port={ports['job']}" in arguments and f"--artifact-port={ports['artifacts']}" in arguments
    assert cluster["flinkVersion"] == "v1_19"


def test_each_task_manager_of_the_laptop_has_its_workers() -> None:
    [compose] = _read("compose.yaml")
    beside = {
        s["network_mode"].removeprefix("service:") for n, s in compose["services"].items() if n.startswith("workers")
    }
    assert beside == {name for name in compose["services"] if name.startswith("taskmanager")}


def test_the_job_server_is_of_the_beam_of_the_stacks_lock() -> None:
    page = (HOME / "docs" / "flink.md").read_text()
    locked = {stack: _read_locked_beam(stack) for stack in ("current", "tf216")}
    assert dict(re.findall(r"(\d+\.\d+\.\d+) on `(\w+)`", page)) == {beam: stack for stack, beam in locked.items()}
    [asked] = re.findall(r"sed 's#BEAM#(.*)#' deploy/flink/job-server.yaml", page)
    [container] = _read("job-server.yaml")[0]["spec"]["template"]["spec"]["containers"]
    [compose] = _read("compose.yaml")
    default = f"${{BEAM:-{locked['current']}}}"
    assert (asked, container["image"].partition(":")[2]) == (locked["current"], "BEAM")
    assert compose["services"]["job-server"]["image"] == container["image"].replace("BEAM", default)


def _read_locked_beam(stack: str) -> str:
    [version] = re.findall(r"^apache-beam==(\S+)", (HOME / f"requirements-{stack}.lock").read_text(), re.MULTILINE)
    return str(version)
