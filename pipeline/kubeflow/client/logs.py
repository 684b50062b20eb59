"""Logs of pods, and the errors that a server answers in their place."""

from __future__ import annotations

import json

from taxiway.pipeline.kubeflow.client.connection import Connection
from taxiway.pipeline.kubeflow.client.server_errors import KubeflowServerError
from taxiway.pipeline.kubeflow.run_status import NodeStatus

LOG_PATH = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"
"""`backend/src/apiserver/main.go`; the only way to a log that the API has."""


def find_log(connection: Connection, run_id: str, node: NodeStatus) -> tuple[str, str]:
    """Name of the pod of a node's last try, and its log.

    Raises:
        KubeflowServerError: The server has it under none of the names that the pod may have, or not any more.
    """
    remedy = f"While the pods are there: kubectl logs -l pipeline/runid={run_id} -c main --prefix --tail=-1"
    remedy += f" -n {connection.namespace}" if connection.namespace else ""
    problem = "The server names no pod."
    for pod in node.pods:
        try:
            return pod, read_log(connection, run_id, pod)
        except KubeflowServerError as error:
            problem = error.problem
    raise KubeflowServerError(f"No log of {node.name}. {problem}", remedy)


def read_log(connection: Connection, run_id: str, pod: str) -> str:
    """The log of a pod.

    Raises:
        KubeflowServerError: The server does not have it any more. It says so with status 200, as JSON in place of the
            log, or after the part that it could read (`run_log_server.go`).
    """
    text = connection.fetch_text(f"the log of {pod}", LOG_PATH, run_id=run_id, node_id=pod)
    failure = _read_failure(text)
    if failure:
        raise KubeflowServerError(f"{connection.host}: the log of {pod}: {failure}")
    return text


def _read_failure(text: str) -> str:
    """The message of an error that stands where the end of a log should be; empty where none does."""
    try:
        answer = json.loads((text.strip().splitlines() or [""])[-1])
    except ValueError:
        return ""
    is_error = isinstance(answer, dict) and set(answer) == {"error_message", "error_details"}
    return str(answer["error_message"]) if is_error else ""
