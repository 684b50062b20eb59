"""Kubernetes objects that serve a directory of versions with TensorFlow Serving: a Deployment and its Service.

The pods pass the `restricted` pod security standard. Plain JSON values: the tests build Kubernetes' own models of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from taxiway.components.stack_seam import find_serving_image

IMAGE = find_serving_image()
GRPC_PORT, REST_PORT = 8500, 8501
METRICS_PATH = "/monitoring/prometheus/metrics"
USER = 1000
"""The image names no user, and `restricted` wants one that is not root."""
START_SECONDS = 900
"""How long the first load and its warm-up may take."""
GRACE_SECONDS = 30
_RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


@dataclass(frozen=True)
class Deployed:
    """What is deployed.

    Attributes:
        name: Name of the objects, which Kubernetes accepts.
        model: Name of the model, in the paths of requests.
        args: Arguments of `tensorflow_model_server`.
        claim: Claim of the volume that holds the versions; empty: they are not on a volume.
        sub_path: Folder of the versions on that volume; empty: the volume is the folder.
        namespace: Namespace; empty: that of whoever applies it.
        replicas: Number of pods.
        annotations: Annotations of the pods: a change rolls them.
        service_account: Account of the pods; empty: the namespace's default.
    """

    name: str
    model: str
    args: Sequence[str]
    claim: str = ""
    sub_path: str = ""
    namespace: str = ""
    replicas: int = 1
    annotations: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""


def build_deployment(deployed: Deployed) -> dict[str, Any]:
    """The Deployment: a new pod takes requests before an old one stops."""
    return make_object("apps/v1", "Deployment", deployed.name, deployed.namespace) | {
        "spec": {
            "replicas": deployed.replicas,
            "selector": {"matchLabels": {"app": deployed.name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {"app": deployed.name}, "annotations": _make_annotations(deployed)},
                "spec": _build_pod(deployed),
            },
        }
    }


def build_service(deployed: Deployed) -> dict[str, Any]:
    """The Service: gRPC on 8500, REST on 8501."""
    ports = [{"name": name, "port": port, "targetPort": name} for name, port in _PORTS]
    return make_object("v1", "Service", deployed.name, deployed.namespace) | {
        "spec": {"selector": {"app": deployed.name}, "ports": ports}
    }


def build_claim(name: str, app: str, storage: str) -> dict[str, Any]:
    """The claim of a volume that the pipeline writes and the server reads, on any node."""
    claim = make_object("v1", "PersistentVolumeClaim", name, "", app)
    return claim | {"spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": storage}}}}


def make_object(api: str, kind: str, name: str, namespace: str = "", app: str = "") -> dict[str, Any]:
    """The head of a Kubernetes object."""
    metadata: dict[str, Any] = {"name": name, "labels": {"app": app or name}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata}


def make_dns_name(name: str) -> str:
    """A name that Kubernetes and compose accept, and KServe: it begins with a letter."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    plain = plain if plain[:1].isalpha() else f"model-{plain}".rstrip("-")
    return plain[:50].rstrip("-")


def dump_documents(documents: Sequence[Mapping[str, Any]]) -> str:
    """The objects as one YAML file."""
    texts = (yaml.safe_dump(dict(each), sort_keys=False, width=120, allow_unicode=True) for each in documents)
    return "---\n".join(texts)


_PORTS = (("grpc", GRPC_PORT), ("rest", REST_PORT))


def _make_annotations(deployed: Deployed) -> dict[str, str]:
    prometheus = {"scrape": "true", "port": str(REST_PORT), "path": METRICS_PATH}
    return {**{f"prometheus.io/{key}": value for key, value in prometheus.items()}, **deployed.annotations}


def _build_pod(deployed: Deployed) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "containers": [_build_container(deployed)],
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    }
    if deployed.service_account:
        pod["serviceAccountName"] = deployed.service_account
    if deployed.claim:
        source = {"claimName": deployed.claim, "readOnly": True}
        pod["volumes"] = [{"name": "models", "persistentVolumeClaim": source}]
    return pod


def _build_container(deployed: Deployed) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "server",
        "image": IMAGE,
        "args": list(deployed.args),
        "ports": [{"name": name, "containerPort": port} for name, port in _PORTS],
        "startupProbe": {**_ask_metadata(deployed), "periodSeconds": 10, "failureThreshold": START_SECONDS // 10},
        "readinessProbe": {**_ask_metadata(deployed), "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {"tcpSocket": {"port": "grpc"}, "periodSeconds": 10},
        "securityContext": _RESTRICTED,
    }
    if deployed.claim:
        mount = {"name": "models", "mountPath": f"/models/{deployed.model}", "readOnly": True}
        container["volumeMounts"] = [{**mount, "subPath": deployed.sub_path} if deployed.sub_path else mount]
    return container


def _ask_metadata(deployed: Deployed) -> dict[str, Any]:
    """Answered with an error until a version is loaded and warmed up; the model's state is answered with 200 always."""
    return {"httpGet": {"path": f"/v1/models/{deployed.model}/metadata", "port": "rest"}}
