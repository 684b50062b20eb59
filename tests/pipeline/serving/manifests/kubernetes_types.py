"""Strict reading of Kubernetes objects by the types of their OpenAPI schemas.

Kubernetes' own types are those of the `kubernetes` client, which is generated from its OpenAPI description: every field
must be known and of its type, and the model must accept them, required ones included. KServe's are described below
after the CRD `serving.kserve.io_inferenceservices.yaml` of release 0.20.0: its predictor is a pod's specification with
fields of its own, its model a container with fields of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubernetes.client import models

KINDS = {
    ("apps/v1", "Deployment"): "V1Deployment",
    ("v1", "Service"): "V1Service",
    ("v1", "ConfigMap"): "V1ConfigMap",
    ("v1", "PersistentVolumeClaim"): "V1PersistentVolumeClaim",
    ("serving.kserve.io/v1beta1", "InferenceService"): "InferenceService",
}
_SCALARS = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def _by_json_name(kubernetes_type: str) -> dict[str, str]:
    model = getattr(models, kubernetes_type)
    return {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}


KSERVE: dict[str, dict[str, str]] = {
    "InferenceService": {
        "apiVersion": "str",
        "kind": "str",
        "metadata": "V1ObjectMeta",
        "spec": "InferenceServiceSpec",
    },
    "InferenceServiceSpec": {"predictor": "PredictorSpec"},
    "PredictorSpec": {
        **_by_json_name("V1PodSpec"),
        "annotations": "dict(str, str)",
        "batcher": "object",
        "canaryTrafficPercent": "int",
        "containerConcurrency": "int",
        "deploymentStrategy": "V1DeploymentStrategy",
        "labels": "dict(str, str)",
        "logger": "object",
        "maxReplicas": "int",
        "minReplicas": "int",
        "model": "ModelSpec",
        "scaleMetric": "str",
        "scaleTarget": "int",
        "timeout": "int",
    },
    "ModelSpec": {
        **_by_json_name("V1Container"),
        "modelFormat": "ModelFormat",
        "protocolVersion": "str",
        "runtime": "str",
        "runtimeVersion": "str",
        "storage": "object",
        "storageUri": "str",
    },
    "ModelFormat": {"name": "str", "version": "str"},
}
KSERVE_REQUIRED = {
    "InferenceServiceSpec": {"predictor"},
    "ModelSpec": {"modelFormat"},
    "ModelFormat": {"name"},
}
_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")


def check_object(content: Mapping[str, Any]) -> list[str]:
    """What the API server would refuse; empty where nothing."""
    kind = KINDS.get((content.get("apiVersion", ""), content.get("kind", "")))
    if kind is None:
        return [f"no such kind: {content.get('apiVersion')} {content.get('kind')}"]
    name = content.get("metadata", {}).get("name", "")
    problems = [] if _NAME.fullmatch(name) else [f"metadata.name: {name!r}"]
    return problems + list(_check(content, kind, content["kind"]))


def _check(value: Any, kind: str, where: str) -> list[str]:
    if kind == "object":  # such as a port by number or name
        return []
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        items = enumerate(value) if isinstance(value, list) else []
        wrong = [] if isinstance(value, list) else [f"{where}: {value!r} is no list"]
        return wrong + [each for number, item in items for each in _check(item, match[1], f"{where}[{number}]")]
    if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
        items = value.items() if isinstance(value, dict) else []
        wrong = [] if isinstance(value, dict) else [f"{where}: {value!r} is no mapping"]
        return wrong + [each for key, item in items for each in _check(item, match[1], f"{where}.{key}")]
    if kind in _SCALARS:
        right = isinstance(value, _SCALARS[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if right else [f"{where}: {value!r} is no {kind}"]
    return _check_fields(value, kind, where)


def _check_fields(value: Any, kind: str, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no mapping"]
    known = KSERVE[kind] if kind in KSERVE else _by_json_name(kind)
    problems = [f"{where}: there is no field {name!r}" for name in value if name not in known]
    for name, item in value.items():
        if name in known:
            problems += _check(item, known[name], f"{where}.{name}")
    return problems + _find_missing(value, kind, where)


def _find_missing(value: Mapping[str, Any], kind: str, where: str) -> list[str]:
    if kind in KSERVE:
        return [f"{where}: {name} is missing" for name in sorted(KSERVE_REQUIRED.get(kind, set()) - set(value))]
    model = getattr(models, kind)
    names = {json_name: name for name, json_name in model.attribute_map.items()}
    try:
        model(**{names[name]: item for name, item in value.items() if name in names})
    except ValueError as error:
        return [f"{where}: {error}"]
    return []
