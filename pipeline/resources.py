"""What each component may use in a cluster: processors, memory, image, retries, volumes, secrets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from components.configuration import Section

KUBERNETES_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
ENVIRONMENT_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Toleration(Section):
    """Lets pods run on nodes with a taint, as in a Kubernetes pod's `tolerations`."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """Empty: every effect."""
    toleration_seconds: int | None = Field(None, ge=0)
    """For `NoExecute`: how long a pod stays."""


class SecretVariables(Section):
    """Keys of a Kubernetes secret as environment variables. The values are never in the compiled pipeline."""

    name: str = Field(pattern=KUBERNETES_NAME)
    """The secret's name in the namespace of the run."""
    variables: dict[str, str] = Field(min_length=1)
    """By key of the secret: the environment variable that holds its value."""


class SecretVolume(Section):
    """A Kubernetes secret as files."""

    name: str = Field(pattern=KUBERNETES_NAME)
    mount_path: str = Field(pattern="^/")


class Volume(Section):
    """A persistent volume claim that exists in the namespace of the run."""

    claim: str = Field(pattern=KUBERNETES_NAME)
    mount_path: str = Field(pattern="^/")


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
    image_pull_secrets: tuple[str, ...] = ()
    retries: int = Field(0, ge=0)
    """Tries after the first one failed."""
    retry_wait_seconds: int = Field(30, ge=0)
    """Before the first retry; each further one waits `retry_factor` times longer."""
    retry_factor: float = Field(2.0, ge=1)
    retry_max_wait_seconds: int = Field(600, ge=0)
    timeout_seconds: int = Field(0, ge=0)
    """The pod is ended after this; 0: never."""
    cache: bool | None = None
    """Whether earlier outputs are reused; not set: yes, but for nodes that look at the serving directory."""
    node_selector: dict[str, str] = Field({})
    tolerations: tuple[Toleration, ...] = ()
    secret_variables: tuple[SecretVariables, ...] = ()
    secret_volumes: tuple[SecretVolume, ...] = ()
    volumes: tuple[Volume, ...] = ()
    labels: dict[str, str] = Field({})
    """Labels of the pod."""
    annotations: dict[str, str] = Field({})
    environment: dict[str, str] = Field({})
    """Plain variables, which anyone who sees the pipeline can read."""

    @field_validator("environment")
    @classmethod
    def _names(cls, environment: dict[str, str]) -> dict[str, str]:
        import re

        for name in environment:
            if not re.match(ENVIRONMENT_NAME, name):
                raise ValueError(f"{name!r} is no name of an environment variable")
        return environment

    @model_validator(mode="after")
    def _requests(self) -> NodeResources:
        for kind, request, limit in (
            ("cpu", self.cpu_request_cores, self.cpu_cores),
            ("memory", self.memory_request_gb, self.memory_gb),
        ):
            if limit and request > limit:
                raise ValueError(f"the {kind} request {request:g} is more than its limit {limit:g}")
        return self


class KubeflowConfig(Section):
    """Where and how the pipeline runs on Kubeflow Pipelines or Vertex AI Pipelines."""

    image: str = ""
    """The image that `make image` built and you pushed to a registry that the cluster can pull from."""
    pipeline_root: str = ""
    """Where artifacts go: `gs://`, `s3://` or `minio://`; empty: what the cluster is configured with."""
    root: str = Field("/taxiway", pattern="^/")
    """A folder that every node sees, usually on a volume: the serving directory, the checkpoints, the execution
    records."""
    config_folder: str = Field("/opt/taxiway/config", pattern="^/")
    """Where the image holds the configuration's folder. Paths beside the configuration file are looked up there."""
    default: NodeResources = NodeResources()
    """For every component."""
    components: dict[str, NodeResources] = Field({})
    """By node id, such as `Trainer`: what differs from `default`."""

    def of(self, node: str) -> NodeResources:
        """What a node may use: its own settings over the default's, key by key."""
        own = self.components.get(node)
        if own is None:
            return self.default
        return self.default.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
