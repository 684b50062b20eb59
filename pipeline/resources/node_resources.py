"""What one component asks of the cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from taxiway.components.config_section import Section
from taxiway.pipeline.resources.mounts import ConfigMapVolume, EmptyDirectory, EphemeralVolume, SecretVolume, Volume
from taxiway.pipeline.resources.names import LabelName, LabelValue, ObjectName, Quantity, VariableName
from taxiway.pipeline.resources.scheduling import NodeAffinity, PodAffinity, Toleration
from taxiway.pipeline.resources.security import SecurityContext
from taxiway.pipeline.resources.variables import ConfigMapVariables, FieldPath, SecretVariables

SHARED_MEMORY = "/dev/shm"
BACKEND_FOLDERS = ("/gcs", "/s3", "/minio", "/kfp-launcher", "/.local", "/.cache", "/.config")
"""Where the backend mounts folders of its own (`argocompiler/container.go`)."""
BACKEND_VOLUMES = frozenset(
    {"kfp-launcher", "gcs-scratch", "s3-scratch", "minio-scratch", "dot-local-scratch", "dot-cache-scratch",
     "dot-config-scratch", "ca-bundle", "kfp-workspace"}
)  # fmt: skip


class NodeResources(Section):
    """What one component asks of the cluster; what is not set falls back to `default`."""

    cpu_cores: float = Field(0, ge=0)
    """Limit of the pod; 0: the cluster's default."""
    memory_gb: float = Field(0, ge=0)
    """Limit in 10^9 bytes; 0: the cluster's default."""
    cpu_request_cores: float = Field(0, ge=0)
    """What is reserved; 0: Kubernetes takes the limit."""
    memory_request_gb: float = Field(0, ge=0)
    gpu_count: int = Field(0, ge=0)
    gpu_type: str = ""
    """The resource's name: `nvidia.com/gpu` on Kubernetes (where empty), `NVIDIA_TESLA_T4` on Vertex AI."""
    image: str = ""
    """Another image than `kubeflow.image`, such as one built for GPUs."""
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    image_pull_secrets: tuple[ObjectName, ...] = ()
    retries: int = Field(0, ge=0)
    """Tries after the first one failed."""
    retry_wait_seconds: int = Field(30, ge=0)
    """Before the first retry; each further one waits `retry_factor` times longer."""
    retry_factor: int = Field(2, ge=1)
    """A whole number: Argo ends a workflow with an error at 1.5."""
    retry_max_wait_seconds: int = Field(600, ge=0)
    """Longest wait before one retry. Open-source Kubeflow cannot limit it; `compile` says where a wait is longer."""
    timeout_seconds: int = Field(0, ge=0)
    """The pod is ended after this; 0: never."""
    cache: bool | None = None
    """Whether earlier outputs are reused; not set: yes, but for nodes that look at the serving directory."""
    node_selector: dict[LabelName, LabelValue] = Field({})
    """Labels of the machines that the pod may run on."""
    tolerations: tuple[Toleration, ...] = ()
    node_affinity: tuple[NodeAffinity, ...] = ()
    """Machines, by conditions. From Kubeflow 2.14 on."""
    pod_affinity: tuple[PodAffinity, ...] = ()
    """Machines, by the pods that run there. No release up to 2.17 applies it: `compile` says so."""
    environment: dict[VariableName, str] = Field({})
    """Plain variables, which anyone who sees the pipeline can read."""
    secret_variables: tuple[SecretVariables, ...] = ()
    config_map_variables: tuple[ConfigMapVariables, ...] = ()
    field_variables: dict[VariableName, FieldPath] = Field({})
    """By variable: a field of the pod, such as `spec.nodeName`."""
    volumes: tuple[Volume, ...] = ()
    secret_volumes: tuple[SecretVolume, ...] = ()
    config_map_volumes: tuple[ConfigMapVolume, ...] = ()
    empty_directories: tuple[EmptyDirectory, ...] = ()
    ephemeral_volumes: tuple[EphemeralVolume, ...] = ()
    shared_memory: Quantity | None = None
    """Size of /dev/shm; not set: the container runtime's, 64 MB. It counts as the container's memory."""
    security_context: SecurityContext = SecurityContext()
    labels: dict[LabelName, LabelValue] = Field({})
    """Labels of the pod."""
    annotations: dict[LabelName, str] = Field({})
    """Annotations of the pod."""

    @field_validator("retry_factor", mode="before")
    @classmethod
    def _check_factor(cls, factor: object) -> object:
        if isinstance(factor, float) and not factor.is_integer():
            raise ValueError(f"{factor} is no whole number, and Argo takes no other: give 1, 2 or more")
        return factor

    @model_validator(mode="after")
    def _check_requests(self) -> NodeResources:
        for kind, request, limit in (
            ("cpu", self.cpu_request_cores, self.cpu_cores),
            ("memory", self.memory_request_gb, self.memory_gb),
        ):
            if limit and request > limit:
                raise ValueError(f"the {kind} request {request:g} is more than its limit {limit:g}")
        return self

    @model_validator(mode="after")
    def _check_mounts(self) -> NodeResources:
        paths = Counter(str(PurePosixPath(path)) for path in self.list_mount_paths())
        for path, count in paths.items():
            if count > 1:
                raise ValueError(f"{path} is mounted {count} times: each mount needs a path of its own")
            if any(PurePosixPath(path).is_relative_to(folder) for folder in BACKEND_FOLDERS) or path == "/":
                raise ValueError(
                    f"{path} cannot be mounted: the backend keeps {', '.join(BACKEND_FOLDERS)} and the root"
                )
        return self

    @model_validator(mode="after")
    def _check_volume_names(self) -> NodeResources:
        """The backend names a volume after what it mounts; a pod cannot have two of one name."""
        kinds = {
            "volumes": {volume.claim for volume in self.volumes},
            "secret_volumes": {volume.name for volume in self.secret_volumes},
            "config_map_volumes": {volume.name for volume in self.config_map_volumes},
            "the backend's own volumes": BACKEND_VOLUMES,
        }
        counted = Counter(name for names in kinds.values() for name in names)
        for name, count in counted.items():
            if count > 1:
                where = " and ".join(kind for kind, names in kinds.items() if name in names)
                raise ValueError(f"{name!r} is the name in {where}: the pod would have two volumes of one name")
        return self

    @model_validator(mode="after")
    def _check_variables(self) -> NodeResources:
        for name, count in Counter(self.list_variables()).items():
            if count > 1:
                raise ValueError(f"the variable {name} is set {count} times: name it once")
        return self

    def list_mount_paths(self) -> Iterator[str]:
        """Every path that something is mounted at."""
        for mounted in (self.volumes, self.secret_volumes, self.config_map_volumes, self.empty_directories,
                        self.ephemeral_volumes):  # fmt: skip
            yield from (mount.mount_path for mount in mounted)
        if self.shared_memory:
            yield SHARED_MEMORY

    def list_variables(self) -> Iterator[str]:
        """The names of all environment variables, one that is set twice twice."""
        yield from self.environment
        yield from self.field_variables
        for secret in self.secret_variables:
            yield from secret.variables.values()
        for config_map in self.config_map_variables:
            yield from config_map.variables.values()
