"""The second document of a compiled pipeline: what Kubernetes is asked for, which the first cannot say.

kfp-kubernetes 1.0.0 is the newest that goes with TFX 1.16, and its messages know volumes, secrets and node selectors
only. What came to the backend in 2.1.0 is written under the names of its `kubernetes_executor_config.proto`.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as proto

from pipeline.resources import NodeResources, Toleration

SINCE_2_1_0 = ("podMetadata", "imagePullSecret", "imagePullPolicy", "activeDeadlineSeconds", "tolerations")
"""Fields that a backend before 2.1.0 refuses."""


def platform_spec(executors: dict[str, NodeResources]) -> dict[str, Any]:
    """The document.

    Args:
        executors: By executor label.

    Returns:
        JSON values; empty where nothing is asked of Kubernetes.
    """
    configs = {label: executor_config(resources) for label, resources in executors.items()}
    asked = {label: config for label, config in configs.items() if config}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": asked}}}} if asked else {}


def executor_config(resources: NodeResources) -> dict[str, Any]:
    """One executor's `KubernetesExecutorConfig` as JSON values."""
    known = json_format.MessageToDict(_message(resources))
    newer = {
        "podMetadata": _without_empty({"labels": resources.labels, "annotations": resources.annotations}),
        "imagePullSecret": [{"secretName": name} for name in resources.image_pull_secrets],
        "imagePullPolicy": resources.image_pull_policy,
        "activeDeadlineSeconds": str(resources.timeout_seconds) if resources.timeout_seconds else "",
        "tolerations": [_toleration(toleration) for toleration in resources.tolerations],
    }
    return {**known, **_without_empty(newer)}


def _message(resources: NodeResources) -> proto.KubernetesExecutorConfig:
    message = proto.KubernetesExecutorConfig()
    for volume in resources.volumes:
        message.pvc_mount.add(constant=volume.claim, mount_path=volume.mount_path)
    for secret in resources.secret_volumes:
        message.secret_as_volume.add(secret_name=secret.name, mount_path=secret.mount_path)
    for variables in resources.secret_variables:
        added = message.secret_as_env.add(secret_name=variables.name)
        for key, variable in sorted(variables.variables.items()):
            added.key_to_env.add(secret_key=key, env_var=variable)
    message.node_selector.labels.update(resources.node_selector)
    if not resources.node_selector:
        message.ClearField("node_selector")
    return message


def _toleration(toleration: Toleration) -> dict[str, Any]:
    seconds = toleration.toleration_seconds
    return {
        **_without_empty({name: getattr(toleration, name) for name in ("key", "operator", "value", "effect")}),
        **({"tolerationSeconds": str(seconds)} if seconds is not None else {}),
    }


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
