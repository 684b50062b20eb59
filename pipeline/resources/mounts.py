"""What a pod has mounted: claims, secrets, config maps, and folders that end with it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from taxiway.components.config_section import Section
from taxiway.pipeline.resources.names import MountedName, MountPath, ObjectName, Quantity

AccessMode = Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]


class Volume(Section):
    """A persistent volume claim that exists in the namespace of the run."""

    claim: MountedName
    mount_path: MountPath
    sub_path: str = ""
    """A folder of the volume, mounted instead of the whole. From Kubeflow 2.16 on."""

    @field_validator("sub_path")
    @classmethod
    def _check_sub_path(cls, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} is no folder inside of the volume: a relative path without ..")
        return path


class SecretVolume(Section):
    """A Kubernetes secret as files."""

    name: MountedName
    mount_path: MountPath
    optional: bool = False
    """Whether the pod starts without it."""


class ConfigMapVolume(Section):
    """A config map as files, such as the certificates of a private CA."""

    name: MountedName
    mount_path: MountPath
    optional: bool = False
    """Whether the pod starts without it."""


class EmptyDirectory(Section):
    """An empty folder of the pod, on its machine's disk or in memory; it ends with the pod."""

    mount_path: MountPath
    memory: bool = False
    """In memory, which counts as the container's own."""
    size_limit: Quantity | None = None
    """The pod is evicted when the folder grows beyond it; not set: as much as the machine has."""


class EphemeralVolume(Section):
    """A volume that is made for the pod and deleted with it, such as a large /tmp."""

    mount_path: MountPath
    size: Quantity
    storage_class: ObjectName | None = None
    """Not set: the cluster's default."""
    access_modes: tuple[AccessMode, ...] = Field(("ReadWriteOnce",), min_length=1)
