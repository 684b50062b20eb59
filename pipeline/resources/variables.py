"""Environment variables of a pod whose values are not in the compiled pipeline."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from taxiway.components.config_section import Section
from taxiway.pipeline.resources.names import ObjectName, VariableName, check_label_name

PodField = Literal[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.podIP",
]


def _check_pod_field(path: str) -> str:
    """`metadata.labels['KEY']` beside the plain fields."""
    for kind in ("labels", "annotations"):
        start, end = f"metadata.{kind}['", "']"
        if path.startswith(start) and path.endswith(end):
            check_label_name(path.removeprefix(start).removesuffix(end))
            return path
    raise ValueError(f"{path!r} is no field of a pod")


class SecretVariables(Section):
    """Keys of a Kubernetes secret as environment variables. The values are never in the compiled pipeline."""

    name: ObjectName
    """The secret's name in the namespace of the run."""
    variables: dict[str, VariableName] = Field(min_length=1)
    """By key of the secret: the environment variable that holds its value."""


class ConfigMapVariables(Section):
    """Keys of a config map as environment variables."""

    name: ObjectName
    """The config map's name in the namespace of the run."""
    variables: dict[str, VariableName] = Field(min_length=1)
    """By key of the config map: the environment variable that holds its value."""


FieldPath = PodField | Annotated[str, AfterValidator(_check_pod_field)]
"""A field of the pod: one of `PodField`, or `metadata.labels['KEY']`, `metadata.annotations['KEY']`."""
