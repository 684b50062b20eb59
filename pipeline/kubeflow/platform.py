"""The second document of a compiled pipeline: what Kubernetes is asked for, which the first cannot say.

It is a `KubernetesExecutorConfig` for each node, whose fields have come with releases of kfp-kubernetes and of the
backend (`kubernetes_platform/proto/kubernetes_executor_config.proto`). kfp-kubernetes' own message decides which of
them the installed release knows; `RELEASES` says which one knows the others.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from kfp.kubernetes import kubernetes_executor_config_pb2 as proto

from taxiway.pipeline.resources.node_resources import SHARED_MEMORY, NodeResources
from taxiway.pipeline.resources.scheduling import NodeAffinity, PodAffinity, Requirement, Toleration

RELEASES = {
    "podMetadata": "2.1.0",
    "imagePullSecret": "2.1.0",
    "imagePullPolicy": "2.1.0",
    "configMapAsVolume": "2.1.0",
    "configMapAsEnv": "2.1.0",
    "activeDeadlineSeconds": "2.1.0",
    "fieldPathAsEnv": "2.1.0",
    "tolerations": "2.1.0",
    "genericEphemeralVolume": "2.2.0",
    "emptyDirMounts": "2.3.0",
    "nodeAffinity": "2.14.0",
    "pvcMount.subPath": "2.16.0",
    "securityContext": "2.16.0",
}
"""Release of the backend from which on it applies a field; what is not here has always been."""
NEVER_APPLIED = {"podAffinity": "2.17.0"}
"""Fields that no release up to this one applies, though its proto has them (`backend/src/v2/driver/k8s.go`)."""
PROTO_RELEASES = {"pvcMount.subPath": "2.16.0", "securityContext": "2.16.0"}
"""Release of kfp-kubernetes from which on it knows a field, of those that the older of our two does not know."""


def make_platform_spec(executors: dict[str, NodeResources]) -> dict[str, Any]:
    """The document.

    Args:
        executors: Resources of each node, by executor label.

    Returns:
        JSON values; empty where nothing is asked of Kubernetes.
    """
    configs = {label: make_executor_config(resources) for label, resources in executors.items()}
    filled = {label: config for label, config in configs.items() if config}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": filled}}}} if filled else {}


def list_executor_configs(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The configurations in a document of `make_platform_spec`, by executor label."""
    deployment = document.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    return dict(deployment.get("executors", {}))


def find_unknown_fields(config: Mapping[str, Any]) -> list[str]:
    """Dotted names of the fields that the installed kfp-kubernetes does not know, such as `pvcMount.subPath`."""
    return sorted(set(_find_unknown(config, proto.KubernetesExecutorConfig.DESCRIPTOR, "")))


def get_installed_release() -> str:
    """Version of the installed kfp-kubernetes."""
    return importlib.metadata.version("kfp-kubernetes")


def parse_executor_config(config: Mapping[str, Any]) -> proto.KubernetesExecutorConfig:
    """The configuration as kfp-kubernetes' message.

    Raises:
        json_format.ParseError: A field is unknown or has a wrong type.
    """
    return json_format.ParseDict(dict(config), proto.KubernetesExecutorConfig())


def list_fields(config: Mapping[str, Any]) -> set[str]:
    """Dotted names of the fields that are set, one level down."""
    names = set(config)
    for name, value in config.items():
        for item in value if isinstance(value, list) else [value]:
            names |= {f"{name}.{inner}" for inner in item} if isinstance(item, dict) else set()
    return names


def make_executor_config(resources: NodeResources) -> dict[str, Any]:
    """One executor's `KubernetesExecutorConfig` as JSON values, by the names of the newest proto."""
    return _drop_empty({**_make_mounts(resources), **_make_variables(resources), **_make_pod_fields(resources)})


def _make_mounts(resources: NodeResources) -> dict[str, Any]:
    return {
        "pvcMount": [
            _drop_empty({"constant": volume.claim, "mountPath": volume.mount_path, "subPath": volume.sub_path})
            for volume in resources.volumes
        ],
        "secretAsVolume": [
            _drop_empty({"secretName": v.name, "mountPath": v.mount_path, "optional": v.optional})
            for v in resources.secret_volumes
        ],
        "configMapAsVolume": [
            _drop_empty({"configMapName": v.name, "mountPath": v.mount_path, "optional": v.optional})
            for v in resources.config_map_volumes
        ],
        "emptyDirMounts": _make_empty_directories(resources),
        "genericEphemeralVolume": [
            _drop_empty({
                "volumeName": f"ephemeral-{number}", "mountPath": volume.mount_path, "size": volume.size,
                "accessModes": list(volume.access_modes), "defaultStorageClass": volume.storage_class is None,
                "storageClassName": volume.storage_class,
            })
            for number, volume in enumerate(resources.ephemeral_volumes)
        ],
    }  # fmt: skip


def _make_empty_directories(resources: NodeResources) -> list[dict[str, Any]]:
    """Shared memory is one too: the field `enabledSharedMemory` is applied by no release."""
    made = [
        _drop_empty({"volumeName": f"empty-{number}", "mountPath": each.mount_path,
                     "medium": "Memory" if each.memory else "", "sizeLimit": each.size_limit})
        for number, each in enumerate(resources.empty_directories)
    ]  # fmt: skip
    if resources.shared_memory:
        shared = {"volumeName": "shared-memory", "mountPath": SHARED_MEMORY, "medium": "Memory"}
        made.append({**shared, "sizeLimit": resources.shared_memory})
    return made


def _make_variables(resources: NodeResources) -> dict[str, Any]:
    return {
        "secretAsEnv": [
            {
                "secretName": each.name,
                "keyToEnv": [{"secretKey": k, "envVar": v} for k, v in sorted(each.variables.items())],
            }
            for each in resources.secret_variables
        ],
        "configMapAsEnv": [
            {
                "configMapName": each.name,
                "keyToEnv": [{"configMapKey": k, "envVar": v} for k, v in sorted(each.variables.items())],
            }
            for each in resources.config_map_variables
        ],
        "fieldPathAsEnv": [{"name": n, "fieldPath": path} for n, path in sorted(resources.field_variables.items())],
    }


def _make_pod_fields(resources: NodeResources) -> dict[str, Any]:
    security = resources.security_context
    user = {"runAsUser": security.run_as_user, "runAsGroup": security.run_as_group}
    return {
        "nodeSelector": _drop_empty({"labels": resources.node_selector}),
        "tolerations": [_make_toleration(toleration) for toleration in resources.tolerations],
        "nodeAffinity": [_make_node_affinity(term) for term in resources.node_affinity],
        "podAffinity": [_make_pod_affinity(term) for term in resources.pod_affinity],
        "podMetadata": _drop_empty({"labels": resources.labels, "annotations": resources.annotations}),
        "imagePullSecret": [{"secretName": name} for name in resources.image_pull_secrets],
        "imagePullPolicy": resources.image_pull_policy,
        "activeDeadlineSeconds": str(resources.timeout_seconds) if resources.timeout_seconds else "",
        "securityContext": {
            **{name: str(number) for name, number in user.items() if number is not None},
            **({} if security.run_as_non_root is None else {"runAsNonRoot": security.run_as_non_root}),
        },
    }


def _make_toleration(toleration: Toleration) -> dict[str, Any]:
    seconds = toleration.toleration_seconds
    return {
        **_drop_empty({name: getattr(toleration, name) for name in ("key", "operator", "value", "effect")}),
        **({"tolerationSeconds": str(seconds)} if seconds is not None else {}),
    }


def _make_node_affinity(term: NodeAffinity) -> dict[str, Any]:
    return _drop_empty({
        "matchExpressions": [_make_requirement(requirement) for requirement in term.expressions],
        "matchFields": [_make_requirement(requirement) for requirement in term.fields],
        "weight": term.weight,
    })  # fmt: skip


def _make_pod_affinity(term: PodAffinity) -> dict[str, Any]:
    return _drop_empty({
        "matchPodExpressions": [_make_requirement(requirement) for requirement in term.expressions],
        "matchPodLabels": term.labels,
        "topologyKey": term.topology_key,
        "namespaces": list(term.namespaces),
        "weight": term.weight,
        "anti": term.anti,
    })  # fmt: skip


def _make_requirement(requirement: Requirement) -> dict[str, Any]:
    return _drop_empty({"key": requirement.key, "operator": requirement.operator, "values": list(requirement.values)})


def _drop_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _find_unknown(values: Mapping[str, Any], message: Descriptor, prefix: str) -> Iterator[str]:
    known: dict[str, FieldDescriptor] = {field.json_name: field for field in message.fields}
    for name, value in values.items():
        field = known.get(name)
        if field is None:
            yield prefix + name
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for item in value if isinstance(value, list) else [value]:
                yield from _find_unknown(item, field.message_type, f"{prefix}{name}.")
