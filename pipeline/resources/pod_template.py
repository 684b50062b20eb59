"""A pod of our own making, from what `resources.kubeflow` says of a node: the pods of a training cluster.

Pods of the pipeline's steps are made by Kubeflow; these ask for the same image, volumes, variables and machines. Names
of fields are Kubernetes' (`PodTemplateSpec`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from taxiway.pipeline.resources.kubeflow_config import KubeflowConfig
from taxiway.pipeline.resources.mounts import EphemeralVolume
from taxiway.pipeline.resources.node_resources import SHARED_MEMORY, NodeResources
from taxiway.pipeline.resources.scheduling import NodeAffinity, PodAffinity, Requirement, Toleration

CONTAINER = "training"


def make_pod_template(kubeflow: KubeflowConfig, node: str) -> dict[str, Any]:
    """A pod with one container without a command, with what `node` may use."""
    resources = kubeflow.resolve_resources(node)
    mounts = list(_make_mounts(resources))
    container = {
        "name": CONTAINER,
        "image": resources.image or kubeflow.image,
        "imagePullPolicy": resources.image_pull_policy,
        "env": list(_make_variables(resources)),
        "resources": _make_amounts(resources),
        "volumeMounts": [mount for _, mount in mounts],
        "securityContext": _make_security(resources),
    }
    spec = {
        "containers": [_drop_empty(container)],
        "volumes": list({volume["name"]: volume for volume, _ in mounts}.values()),
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": name} for name in resources.image_pull_secrets],
        "nodeSelector": dict(resources.node_selector),
        "tolerations": [_make_toleration(toleration) for toleration in resources.tolerations],
        "affinity": _make_affinity(resources),
    }
    annotations = {"sidecar.istio.io/inject": "false", **resources.annotations}  # a job with a sidecar does not end
    metadata = _drop_empty({"labels": dict(resources.labels), "annotations": annotations})
    return {"metadata": metadata, "spec": {**_drop_empty(spec), "automountServiceAccountToken": False}}


def _make_mounts(resources: NodeResources) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    """Each volume, and where it is mounted."""
    for claim in resources.volumes:
        mount = _drop_empty({"name": claim.claim, "mountPath": claim.mount_path, "subPath": claim.sub_path})
        yield {"name": claim.claim, "persistentVolumeClaim": {"claimName": claim.claim}}, mount
    for secret in resources.secret_volumes:
        source = _drop_empty({"secretName": secret.name, "optional": secret.optional})
        yield {"name": secret.name, "secret": source}, {"name": secret.name, "mountPath": secret.mount_path}
    for each in resources.config_map_volumes:
        source = _drop_empty({"name": each.name, "optional": each.optional})
        yield {"name": each.name, "configMap": source}, {"name": each.name, "mountPath": each.mount_path}
    yield from _make_own_folders(resources)


def _make_own_folders(resources: NodeResources) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    """Folders that end with the pod."""
    for number, each in enumerate(resources.empty_directories):
        source = _drop_empty({"medium": "Memory" if each.memory else "", "sizeLimit": each.size_limit})
        yield _mount(f"empty-{number}", each.mount_path, {"emptyDir": source})
    for number, volume in enumerate(resources.ephemeral_volumes):
        yield _mount(f"ephemeral-{number}", volume.mount_path, {"ephemeral": _make_claim_template(volume)})
    if resources.shared_memory:
        source = {"medium": "Memory", "sizeLimit": resources.shared_memory}
        yield _mount("shared-memory", SHARED_MEMORY, {"emptyDir": source})


def _make_claim_template(volume: EphemeralVolume) -> dict[str, Any]:
    claim = {
        "accessModes": list(volume.access_modes),
        "storageClassName": volume.storage_class,
        "resources": {"requests": {"storage": volume.size}},
    }
    return {"volumeClaimTemplate": {"spec": _drop_empty(claim)}}


def _mount(name: str, path: str, source: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"name": name, **source}, {"name": name, "mountPath": path}


def _make_variables(resources: NodeResources) -> Iterable[dict[str, Any]]:
    yield from ({"name": name, "value": value} for name, value in sorted(resources.environment.items()))
    for kind, sources in (
        ("secretKeyRef", resources.secret_variables),
        ("configMapKeyRef", resources.config_map_variables),
    ):
        for source in sources:
            for key, name in sorted(source.variables.items()):
                yield {"name": name, "valueFrom": {kind: {"name": source.name, "key": key}}}
    for name, path in sorted(resources.field_variables.items()):
        yield {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _make_amounts(resources: NodeResources) -> dict[str, Any]:
    gpus = str(resources.gpu_count) if resources.gpu_count else ""
    limits = {
        "cpu": _format_cores(resources.cpu_cores),
        "memory": _format_bytes(resources.memory_gb),
        resources.gpu_type or "nvidia.com/gpu": gpus,
    }
    requests = {
        "cpu": _format_cores(resources.cpu_request_cores),
        "memory": _format_bytes(resources.memory_request_gb),
    }
    return _drop_empty({"limits": _drop_empty(limits), "requests": _drop_empty(requests)})


def _format_cores(cores: float) -> str:
    return f"{round(cores * 1000)}m" if cores else ""


def _format_bytes(gigabytes: float) -> str:
    return f"{round(gigabytes * 1000)}M" if gigabytes else ""


def _make_security(resources: NodeResources) -> dict[str, Any]:
    context = resources.security_context
    fields = {
        "runAsUser": context.run_as_user,
        "runAsGroup": context.run_as_group,
        "runAsNonRoot": context.run_as_non_root,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return {**given, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"}}  # fmt: skip


def _make_toleration(toleration: Toleration) -> dict[str, Any]:
    fields = {name: getattr(toleration, name) for name in ("key", "operator", "value", "effect")}
    seconds = toleration.toleration_seconds
    return _drop_empty(fields) | ({} if seconds is None else {"tolerationSeconds": seconds})


def _make_affinity(resources: NodeResources) -> dict[str, Any]:
    pods = [term for term in resources.pod_affinity if not term.anti]
    apart = [term for term in resources.pod_affinity if term.anti]
    return _drop_empty({
        "nodeAffinity": _make_node_affinity(resources.node_affinity),
        "podAffinity": _make_pod_affinity(pods),
        "podAntiAffinity": _make_pod_affinity(apart),
    })  # fmt: skip


def _make_node_affinity(terms: Iterable[NodeAffinity]) -> dict[str, Any]:
    made = [
        (term.weight, _drop_empty({"matchExpressions": list(map(_make_requirement, term.expressions)),
                                   "matchFields": list(map(_make_requirement, term.fields))}))
        for term in terms
    ]  # fmt: skip
    required = [term for weight, term in made if weight is None]
    preferred = [{"weight": weight, "preference": term} for weight, term in made if weight is not None]
    return _drop_empty({
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": required} if required else {},
        "preferredDuringSchedulingIgnoredDuringExecution": preferred,
    })  # fmt: skip


def _make_pod_affinity(terms: Iterable[PodAffinity]) -> dict[str, Any]:
    made = [(term.weight, _make_pod_term(term)) for term in terms]
    return _drop_empty({
        "requiredDuringSchedulingIgnoredDuringExecution": [term for weight, term in made if weight is None],
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": weight, "podAffinityTerm": term} for weight, term in made if weight is not None
        ],
    })  # fmt: skip


def _make_pod_term(term: PodAffinity) -> dict[str, Any]:
    expressions = [_make_requirement(requirement) for requirement in term.expressions]
    selector = _drop_empty({"matchExpressions": expressions, "matchLabels": dict(term.labels)})
    fields = {"labelSelector": selector, "topologyKey": term.topology_key, "namespaces": list(term.namespaces)}
    return _drop_empty(fields)


def _make_requirement(requirement: Requirement) -> dict[str, Any]:
    return _drop_empty({"key": requirement.key, "operator": requirement.operator, "values": list(requirement.values)})


def _drop_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
