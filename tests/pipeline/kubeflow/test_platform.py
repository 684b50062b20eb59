from __future__ import annotations

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as proto

from pipeline.kubeflow import platform
from pipeline.resources import KubeflowConfig, NodeResources

FULL = NodeResources.model_validate(
    {
        "volumes": [{"claim": "data", "mount_path": "/data"}],
        "secret_variables": [{"name": "keys", "variables": {"token": "API_TOKEN", "id": "API_ID"}}],
        "secret_volumes": [{"name": "certs", "mount_path": "/certs"}],
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "toleration_seconds": 0}],
        "labels": {"team": "ads"},
        "image_pull_policy": "Always",
        "image_pull_secrets": ["registry"],
        "timeout_seconds": 600,
    }
)


def test_what_kfp_kubernetes_knows_is_read_back_by_its_proto():
    config = platform.executor_config(FULL)
    for field in platform.SINCE_2_1_0:
        config.pop(field)
    message = json_format.ParseDict(config, proto.KubernetesExecutorConfig())
    assert message.pvc_mount[0].constant == "data"
    assert [(m.secret_key, m.env_var) for m in message.secret_as_env[0].key_to_env] == [
        ("id", "API_ID"),
        ("token", "API_TOKEN"),
    ]
    assert message.secret_as_volume[0].mount_path == "/certs"
    assert dict(message.node_selector.labels) == {"disk": "ssd"}


def test_newer_fields_have_the_names_of_the_backends_proto():
    config = platform.executor_config(FULL)
    assert config["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": "0"}
    ]
    assert config["podMetadata"] == {"labels": {"team": "ads"}}
    assert config["imagePullSecret"] == [{"secretName": "registry"}]
    assert (config["imagePullPolicy"], config["activeDeadlineSeconds"]) == ("Always", "600")


def test_nothing_asked_is_no_document():
    assert platform.platform_spec({"Trainer_executor": NodeResources()}) == {}


def test_a_node_overrides_the_default_key_by_key():
    config = KubeflowConfig.model_validate(
        {"default": {"cpu_cores": 2, "memory_gb": 4}, "components": {"Trainer": {"memory_gb": 0, "gpu_count": 1}}}
    )
    trainer = config.of("Trainer")
    assert (trainer.cpu_cores, trainer.memory_gb, trainer.gpu_count) == (2, 0, 1)
    assert config.of("Transform").memory_gb == 4
