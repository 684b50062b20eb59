"""The server: whether it answers, its release, its API, and what whoever asks may do there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from packaging.version import InvalidVersion, Version

from taxiway.pipeline.kubeflow.api_client import KubeflowServer
from taxiway.pipeline.kubeflow.client.server_errors import KubeflowServerError, silence_client, translate_errors
from taxiway.pipeline.kubeflow.examination.finding import ServerFinding

HEALTH_PATH = "/apis/v2beta1/healthz"
OLDEST_RELEASE = Version("2.1.0")
"""Older ones refuse fields of the pods that `compile` writes."""
JUDGED_RELEASES = (Version("2.15.0"), Version("2.17.0"))
"""Kubeflow's own compiler, driver and launcher of these worked on the compiled taxi pipeline (docs/kubeflow.md)."""
RESOURCES = ("pipelines", "experiments", "runs", "recurring runs")


def check_health(health: dict[str, Any]) -> Iterator[ServerFinding]:
    """The server behind the address, and its release.

    Args:
        health: What it answers to `GET /apis/v2beta1/healthz`. The page's own server answers for the API server, with
            other keys, and with 200 also when that is down.
    """
    if health.get("apiServerReady") is False:
        remedy = "See its pod: kubectl get pods -n kubeflow -l app=ml-pipeline"
        yield ServerFinding(
            name="API server", state="failed", detail="The page answers, its API server does not.", remedy=remedy
        )
        return
    yield ServerFinding(name="API server", state="ok", detail="It answers, and knows who asks.")
    yield _judge_release(str(health.get("tag_name") or health.get("apiServerTagName") or ""))


def _judge_release(tag: str) -> ServerFinding:
    oldest, newest = JUDGED_RELEASES
    try:
        release = Version(tag)
    except InvalidVersion:
        detail = f"It names no release ({tag!r})." if tag else "It names no release."
        return ServerFinding(name="release", state="unknown", detail=detail, remedy=f"Judged: {oldest} to {newest}.")
    if release < OLDEST_RELEASE:
        remedy = f"Upgrade Kubeflow Pipelines to {oldest} or later."
        detail = f"{tag}: a server before {OLDEST_RELEASE} refuses the settings of pods."
        return ServerFinding(name="release", state="failed", detail=detail, remedy=remedy)
    if not oldest <= release <= newest:
        detail = f"{tag}: the compiled pipeline was judged by {oldest} to {newest}."
        return ServerFinding(
            name="release", state="unknown", detail=detail, remedy="Try one run before you rely on it."
        )
    return ServerFinding(name="release", state="ok", detail=tag)


def check_namespace(health: dict[str, Any], namespace: str) -> Iterator[ServerFinding]:
    """Whether the server has users, and a namespace was named."""
    many_users = bool(health.get("multi_user"))
    if many_users and not namespace:
        yield ServerFinding(
            name="namespace",
            state="failed",
            detail="The server has several users, and no namespace was named.",
            remedy="Give --namespace; yours: kubectl get profiles",
        )
    elif namespace and not many_users:
        yield ServerFinding(
            name="namespace",
            state="unknown",
            detail=f"The server has one user: runs go to its own namespace, not to {namespace!r}.",
            remedy="Leave --namespace out.",
        )


def check_api(server: KubeflowServer) -> Iterator[ServerFinding]:
    """Each part of the API that commands ask, by listing one; what may be created can only be tried."""
    findings = [_list_one(server, resource) for resource in RESOURCES]
    wrong = [finding for finding in findings if finding.state != "ok"]
    yield from wrong
    if not wrong:
        yield ServerFinding(name="API", state="ok", detail=f"v2beta1: {', '.join(RESOURCES)}.")
        yield _describe_creation(server.namespace)


def _describe_creation(namespace: str) -> ServerFinding:
    if not namespace:
        return ServerFinding(name="permissions", state="ok", detail="Everything above may be listed.")
    ask = f"kubectl auth can-i create runs.pipelines.kubeflow.org -n {namespace}"
    detail = f"Everything above may be listed in {namespace}. Creating cannot be asked of this API; ask Kubernetes:"
    return ServerFinding(name="permissions", state="ok", detail=detail, remedy=ask)


def _list_one(server: KubeflowServer, resource: str) -> ServerFinding:
    client, namespace = server.client, server.namespace or None
    calls = {
        "pipelines": client.list_pipelines,
        "experiments": client.list_experiments,
        "runs": client.list_runs,
        "recurring runs": client.list_recurring_runs,
    }
    try:
        with translate_errors(f"Listing {resource}"), silence_client():
            calls[resource](page_size=1, namespace=namespace)
    except KubeflowServerError as error:
        return ServerFinding(name=resource, state="failed", detail=error.problem, remedy=_find_remedy(error, namespace))
    return ServerFinding(name=resource, state="ok", detail="")


def _find_remedy(error: KubeflowServerError, namespace: str | None) -> str:
    if ": 403" in error.problem:
        role = f" in {namespace}" if namespace else ""
        return f"Whoever signed in needs Kubeflow's role kubeflow-edit{role}: kubectl get rolebindings" + (
            f" -n {namespace}" if namespace else ""
        )
    return error.remedy
