"""The pod of a training cluster: what is refused while the pipeline is built, and what the step keeps for itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taxiway.components.errors import ConfigError
from taxiway.components.training.config import TrainingConfig
from taxiway.pipeline.resources import KubeflowConfig
from taxiway.pipeline.resources.cluster_pod import make_cluster_pod, resolve_step

IMAGE = "registry.example/taxiway:1"
VOLUMES = [{"claim": "taxiway", "mount_path": "/taxiway"}]


def _training(strategy: str = "multi_worker_mirrored", where: str = "kubernetes") -> TrainingConfig:
    return TrainingConfig.model_validate({"strategy": strategy, "cluster": {"where": where}})


def _kubeflow(**changes: Any) -> KubeflowConfig:
    trainer = {"gpu_count": 2, "image": "registry.example/gpu:1"}
    base = {"image": IMAGE, "default": {"volumes": VOLUMES}, "components": {"Trainer": trainer}}
    return KubeflowConfig.model_validate(base | changes)


def test_pods_get_what_the_trainer_may_use_and_the_step_no_gpu() -> None:
    [container] = json.loads(make_cluster_pod(_training(), _kubeflow()))["spec"]["containers"]
    assert container["image"] == "registry.example/gpu:1"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert resolve_step(_training(), _kubeflow(), "Trainer").gpu_count == 0
    assert resolve_step(_training(where="local"), _kubeflow(), "Trainer").gpu_count == 2


def test_a_local_cluster_has_no_pod() -> None:
    assert make_cluster_pod(_training(where="local"), KubeflowConfig()) == ""


@pytest.mark.parametrize(
    ("training", "kubeflow", "message"),
    [
        (_training("mirrored"), _kubeflow(), "'mirrored' has no cluster"),
        (_training(), _kubeflow(image="", components={}), "no image for its pods"),
        (_training(), _kubeflow(default={}), r"/taxiway is on no volume of the Trainer \(it has none\)"),
        (_training(), _kubeflow(root="/elsewhere"), r"/elsewhere is on no volume of the Trainer \(/taxiway\)"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    training: TrainingConfig, kubeflow: KubeflowConfig, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_cluster_pod(training, kubeflow)
