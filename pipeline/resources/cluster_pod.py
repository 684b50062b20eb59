"""The pod of a training cluster, for `training.cluster.where: kubernetes`, checked while the pipeline is built."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from taxiway.components.errors import ConfigError
from taxiway.components.training.config import TrainingConfig
from taxiway.pipeline.resources.kubeflow_config import KubeflowConfig
from taxiway.pipeline.resources.node_resources import NodeResources
from taxiway.pipeline.resources.pod_template import make_pod_template

NODE = "Trainer"
STRATEGIES = ("multi_worker_mirrored", "parameter_server")


def make_cluster_pod(training: TrainingConfig, kubeflow: KubeflowConfig) -> str:
    """The `PodTemplateSpec` of a task as JSON; empty where no pods are made.

    Raises:
        ConfigError: the settings do not go together.
    """
    if training.cluster.where != "kubernetes":
        return ""
    check_strategy(training)
    check_volume(kubeflow)
    if not (kubeflow.resolve_resources(NODE).image or kubeflow.image):
        raise ConfigError(
            "training.cluster.where is 'kubernetes', and there is no image for its pods.",
            "Set resources.kubeflow.image to the image that `make image` built and you pushed.",
        )
    return json.dumps(make_pod_template(kubeflow, NODE), sort_keys=True)


def resolve_step(training: TrainingConfig, kubeflow: KubeflowConfig, node: str) -> NodeResources:
    """What the step of a node may use: where pods of their own train, the Trainer's step needs no GPU."""
    resources = kubeflow.resolve_resources(node)
    outside = node == NODE and training.cluster.where == "kubernetes"
    return resources.model_copy(update={"gpu_count": 0}) if outside else resources


def check_strategy(training: TrainingConfig) -> None:
    if training.strategy not in STRATEGIES:
        raise ConfigError(
            f"training.cluster.where is 'kubernetes', and training.strategy {training.strategy!r} has no cluster.",
            f"Set training.strategy to one of {', '.join(STRATEGIES)}, or training.cluster.where: local.",
        )


def check_volume(kubeflow: KubeflowConfig) -> None:
    """Job, checkpoints and results go over the volume that holds the root."""
    mounts = [volume.mount_path for volume in kubeflow.resolve_resources(NODE).volumes]
    if not any(PurePosixPath(kubeflow.root).is_relative_to(mount) for mount in mounts):
        raise ConfigError(
            f"training.cluster.where is 'kubernetes', and resources.kubeflow.root {kubeflow.root} is on no volume of "
            f"the Trainer ({', '.join(mounts) or 'it has none'}).",
            "Mount a claim that several pods may write (ReadWriteMany) there: resources.kubeflow.default.volumes: "
            f"[{{claim: NAME, mount_path: {kubeflow.root}}}].",
        )
