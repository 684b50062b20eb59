"""The cluster's pods as one object of Kubernetes: a JobSet, or a TFJob where only the older operator is installed.

Both make the pods, give each a name that the others can look up, start pods again when one is lost, and are done when
the chief is. Names of fields are those of their definitions: `jobset.x-k8s.io/v1alpha2`, `kubeflow.org/v1`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taxiway.components.processes.subprocesses import RETRY_VARIABLE

MEMBERS_VARIABLE = "TAXIWAY_CLUSTER_MEMBERS"
KIND_VARIABLE = "TAXIWAY_CLUSTER_TASK"
MEMBER_MODULE = "taxiway.components.training.cluster_member"
PORT = 2222
UP_FILE = "up"
"""In the folder that all pods see, made by the chief once the members have found each other."""
FINAL_EXIT_CODES = (1, 2)
"""A failure that would come again, and a wrong configuration: to start again would not mend it."""
TFJOB_RETRY_EXIT_CODE = 138
"""The operator takes codes up to 127 for final; this one its documentation leaves to the user, to be started again."""


@dataclass(frozen=True)
class ClusterPlan:
    """What is asked for.

    Attributes:
        name: The object's name, at most 40 characters: those of pods and services are longer.
        namespace: Where it is made.
        kinds: The kinds of tasks and how many of each; the chief is the first, and one.
        pod: The pod of each task, a `PodTemplateSpec` whose first container gets our command.
        folder: The folder that all pods see, with `job.json`; results go there.
        max_restarts: The number of times that all pods are started again.
        grace_seconds: The time between SIGTERM and SIGKILL.
        owner: The step's own pod, as an `ownerReference`: what it leaves behind goes with it; empty: unknown.
    """

    name: str
    namespace: str
    kinds: tuple[tuple[str, int], ...]
    pod: Mapping[str, Any]
    folder: str
    max_restarts: int = 3
    grace_seconds: float = 20.0
    owner: Mapping[str, Any] = field(default_factory=dict)


def build_jobset(plan: ClusterPlan) -> dict[str, Any]:
    """One Job for each kind of tasks. The chief's success is the set's; all start again with one that is lost."""
    refused = {"name": "wrong", "action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": _make_metadata(plan),
        "spec": {
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "successPolicy": {"operator": "All", "targetReplicatedJobs": [plan.kinds[0][0]]},
            "failurePolicy": {"maxRestarts": plan.max_restarts, "rules": [refused]},
            "replicatedJobs": [_make_replicated_job(plan, kind, count) for kind, count in plan.kinds],
        },
    }


def _make_replicated_job(plan: ClusterPlan, kind: str, count: int) -> dict[str, Any]:
    variables = {KIND_VARIABLE: kind, MEMBERS_VARIABLE: json.dumps(list_members(plan))}
    pod = _make_pod(plan, variables)
    codes = {"containerName": _first_container(pod)["name"], "operator": "In", "values": list(FINAL_EXIT_CODES)}
    job = {
        "parallelism": count,
        "completions": count,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": codes}]},
        "template": pod,
    }
    return {"name": kind, "replicas": 1, "template": {"spec": job}}


def list_members(plan: ClusterPlan) -> dict[str, list[str]]:
    """The addresses of a JobSet's tasks by kind: its controller names pods so before they are there."""
    return {
        kind: [f"{plan.name}-{kind}-0-{index}.{plan.name}:{PORT}" for index in range(count)]
        for kind, count in plan.kinds
    }


def build_tfjob(plan: ClusterPlan) -> dict[str, Any]:
    """The same for the training operator, which writes `TF_CONFIG` itself and starts pods again one by one."""
    names = {"chief": "Chief", "worker": "Worker", "ps": "PS"}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": _make_metadata(plan),
        "spec": {
            "runPolicy": {"cleanPodPolicy": "All", "backoffLimit": plan.max_restarts * sum(n for _, n in plan.kinds)},
            "tfReplicaSpecs": {names[kind]: _make_replica(plan, count) for kind, count in plan.kinds},
        },
    }


def _make_replica(plan: ClusterPlan, count: int) -> dict[str, Any]:
    variables = {RETRY_VARIABLE: str(TFJOB_RETRY_EXIT_CODE)}
    if len(plan.kinds) == 1 and count == 1:  # the operator gives a pod alone no TF_CONFIG
        variables |= {KIND_VARIABLE: plan.kinds[0][0], MEMBERS_VARIABLE: json.dumps(list_members(plan))}
    pod = _make_pod(plan, variables)
    container = _first_container(pod)
    container["name"] = "tensorflow"  # the operator looks for it
    container["ports"] = [{"name": "tfjob-port", "containerPort": PORT}]
    return {"replicas": count, "restartPolicy": "ExitCode", "template": pod}


def _make_metadata(plan: ClusterPlan) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "taxiway", "app.kubernetes.io/component": "training"}
    owners = {"ownerReferences": [dict(plan.owner)]} if plan.owner else {}
    return {"name": plan.name, "namespace": plan.namespace, "labels": labels, **owners}


def _make_pod(plan: ClusterPlan, variables: Mapping[str, str]) -> dict[str, Any]:
    pod = copy.deepcopy(dict(plan.pod))
    pod["spec"]["terminationGracePeriodSeconds"] = round(plan.grace_seconds) + 10
    container = _first_container(pod)
    container["command"] = ["python", "-m", MEMBER_MODULE]
    container["args"] = [plan.folder]
    own = [{"name": name, "value": value} for name, value in variables.items()]
    container["env"] = [*container.get("env", ()), *own]
    container["ports"] = [{"name": "training", "containerPort": PORT}]
    return pod


def _first_container(pod: Mapping[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = pod["spec"]["containers"][0]
    return first
