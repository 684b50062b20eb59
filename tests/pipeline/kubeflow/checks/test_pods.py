"""What pods are asked for."""

from __future__ import annotations

import pytest

from taxiway.components.training.config import TrainingConfig
from taxiway.pipeline.kubeflow.checks import pods
from tests.pipeline.kubeflow.conftest import taxi


def test_a_wait_that_argo_does_not_limit(changed):
    for retries, told in ((5, False), (6, True)):  # 30 s, doubled four and five times: 480 and 960 of 600 s
        config = taxi({"components": {"Trainer": {"retries": retries}}})
        said = [str(finding) for finding in pods.check_retry_waits(changed(config=config))]
        assert bool(said) == told
    assert "Trainer: Retry 6 waits 960 s, whatever retry_max_wait_seconds (600) says." in said[0]


@pytest.mark.parametrize(
    ("training", "level"),
    [
        ({"strategy": "multi_worker_mirrored", "cluster": {"workers": 8}}, "refused"),
        ({"strategy": "multi_worker_mirrored", "cluster": {"workers": 1}}, ""),
        ({"strategy": "parameter_server"}, "note"),
        ({"strategy": "mirrored", "replicas": 2}, ""),
    ],
)
def test_workers_that_would_share_one_pod(changed, training, level):
    config = taxi()
    config = config.model_copy(update={"training": TrainingConfig.model_validate(training)})
    found = list(pods.check_distribution(changed(config=config)))
    assert [finding.level for finding in found] == ([level] if level else [])
    assert all(finding.node == "Trainer" and "one pod" in finding.problem for finding in found)


def test_a_cluster_of_the_users_own_is_accepted(changed):
    own = {"components": {"Trainer": {"environment": {"TF_CONFIG": "{}"}}}}
    config = taxi(own).model_copy(update={"training": TrainingConfig(strategy="multi_worker_mirrored")})
    assert list(pods.check_distribution(changed(config=config))) == []
