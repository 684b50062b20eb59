"""Kubernetes objects read strictly, by the models that the client was generated to from the API's OpenAPI schemas."""

from __future__ import annotations

import datetime
import re
from typing import Any

from kubernetes.client import models

_PLAIN = {"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float), "datetime": (str, datetime.datetime)}
_CONTAINER = re.compile(r"(list|dict)[\[(](?:str, )?(.+)[\])]")


def find_mistakes(document: dict[str, Any]) -> list[str]:
    """What the API would refuse or drop of an object: unknown fields, wrong types, required fields that are missing."""
    group, _, version = str(document.get("apiVersion")).rpartition("/")
    kind = f"{version.title()}{document.get('kind')}"
    assert group in ("", "batch", "apps", "rbac.authorization.k8s.io"), group
    return _check_value(document, kind, "")


def find_pod_mistakes(spec: dict[str, Any]) -> list[str]:
    """The same of a pod's specification."""
    return _check_value(spec, "V1PodSpec", "spec")


def _check_value(value: Any, kind: str, where: str) -> list[str]:
    if kind == "object":
        return []
    if kind in _PLAIN:
        right = isinstance(value, _PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if right else [f"{where}: {value!r} is no {kind}"]
    container = _CONTAINER.fullmatch(kind)
    if container is None:
        return _check_object(value, getattr(models, kind), where)
    if not isinstance(value, list if container[1] == "list" else dict):
        return [f"{where}: {value!r} is no {container[1]}"]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [mistake for key, item in items for mistake in _check_value(item, container[2], f"{where}.{key}")]


def _check_object(value: Any, model: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no {model.__name__}"]
    names = {wire: name for name, wire in model.attribute_map.items()}
    mistakes = [f"{where}.{key}: unknown to {model.__name__}" for key in value if key not in names]
    known = {key: item for key, item in value.items() if key in names}
    try:
        model(**{names[key]: item for key, item in known.items()})  # says which required fields are missing
    except ValueError as error:
        mistakes.append(f"{where}: {error}")
    for key, item in known.items():
        mistakes += _check_value(item, model.openapi_types[names[key]], f"{where}.{key}")
    return mistakes
