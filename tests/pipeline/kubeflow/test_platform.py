"""What Kubernetes is asked for."""

from __future__ import annotations

import copy

import pytest
from google.protobuf import json_format

from taxiway.pipeline.emulator.pods.kubernetes import extend_patch
from taxiway.pipeline.kubeflow import platform
from taxiway.pipeline.resources import KubeflowConfig, NodeResources
from tests.deploy.kubernetes_objects import find_pod_mistakes

FULL = NodeResources.model_validate(
    {
        "volumes": [{"claim": "data", "mount_path": "/data"}, {"claim": "data", "mount_path": "/b", "sub_path": "b/c"}],
        "secret_variables": [{"name": "keys", "variables": {"token": "API_TOKEN", "id": "API_ID"}}],
        "secret_volumes": [{"name": "certs", "mount_path": "/certs", "optional": True}],
        "config_map_variables": [{"name": "proxy", "variables": {"https": "HTTPS_PROXY"}}],
        "config_map_volumes": [{"name": "private-ca", "mount_path": "/ca"}],
        "field_variables": {"POD": "metadata.name", "TEAM": "metadata.labels['team']"},
        "empty_directories": [{"mount_path": "/tmp", "size_limit": "20Gi"}, {"mount_path": "/fast", "memory": True}],
        "ephemeral_volumes": [
            {"mount_path": "/scratch", "size": "100Gi"},
            {"mount_path": "/big", "size": "1Ti", "storage_class": "slow", "access_modes": ["ReadWriteMany"]},
        ],
        "shared_memory": "2Gi",
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "toleration_seconds": 0}],
        "node_affinity": [
            {"expressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]},
            {"fields": [{"key": "metadata.name", "operator": "NotIn", "values": ["old"]}], "weight": 5},
        ],
        "pod_affinity": [{"labels": {"app": "x"}, "topology_key": "kubernetes.io/hostname", "anti": True}],
        "security_context": {"run_as_user": 1000, "run_as_group": 0, "run_as_non_root": True},
        "labels": {"team": "ads"},
        "annotations": {"example.com/why": "a nightly run, of course"},
        "image_pull_policy": "Always",
        "image_pull_secrets": ["registry"],
        "timeout_seconds": 600,
    }
)


@pytest.fixture(scope="module")
def message():
    """What the installed kfp-kubernetes reads, strictly; what it does not know is taken out first, by name."""
    config = copy.deepcopy(platform.make_executor_config(FULL))
    assert set(platform.find_unknown_fields(config)) <= set(platform.PROTO_RELEASES)
    for name in platform.find_unknown_fields(config):
        field, _, inner = name.partition(".")
        for mount in config[field] if inner else ():
            mount.pop(inner, None)
        if not inner:
            config.pop(field)
    return platform.parse_executor_config(config)


def test_every_setting_is_read_by_kfp_kubernetes_own_message(message):
    assert {field.name for field, _ in message.ListFields()} >= {
        "secret_as_volume", "secret_as_env", "pvc_mount", "node_selector", "pod_metadata", "image_pull_secret",
        "image_pull_policy", "config_map_as_volume", "config_map_as_env", "active_deadline_seconds",
        "field_path_as_env", "tolerations", "generic_ephemeral_volume", "node_affinity", "pod_affinity",
        "empty_dir_mounts",
    }  # fmt: skip


def test_variables(message):
    [secret], [config_map] = message.secret_as_env, message.config_map_as_env
    assert [(m.secret_key, m.env_var) for m in secret.key_to_env] == [("id", "API_ID"), ("token", "API_TOKEN")]
    assert [(m.config_map_key, m.env_var) for m in config_map.key_to_env] == [("https", "HTTPS_PROXY")]
    assert [(f.name, f.field_path) for f in message.field_path_as_env] == [
        ("POD", "metadata.name"),
        ("TEAM", "metadata.labels['team']"),
    ]


def test_mounts(message):
    assert [(mount.constant, mount.mount_path) for mount in message.pvc_mount] == [("data", "/data"), ("data", "/b")]
    [secret], [config_map] = message.secret_as_volume, message.config_map_as_volume
    assert (secret.secret_name, secret.mount_path, secret.optional) == ("certs", "/certs", True)
    assert (config_map.config_map_name, config_map.mount_path, config_map.optional) == ("private-ca", "/ca", False)
    folders = [(m.volume_name, m.mount_path, m.medium, m.size_limit) for m in message.empty_dir_mounts]
    assert folders == [
        ("empty-0", "/tmp", "", "20Gi"),
        ("empty-1", "/fast", "Memory", ""),
        ("shared-memory", "/dev/shm", "Memory", "2Gi"),
    ]
    scratch, big = message.generic_ephemeral_volume
    assert (scratch.size, scratch.default_storage_class, list(scratch.access_modes)) == (
        "100Gi",
        True,
        ["ReadWriteOnce"],
    )
    assert (big.storage_class_name, big.default_storage_class, list(big.access_modes)) == (
        "slow",
        False,
        ["ReadWriteMany"],
    )


def test_machines(message):
    assert dict(message.node_selector.labels) == {"disk": "ssd"}
    [toleration] = message.tolerations
    assert (toleration.key, toleration.operator, toleration.effect) == ("gpu", "Exists", "NoExecute")
    assert toleration.HasField("toleration_seconds") and toleration.toleration_seconds == 0
    required, preferred = message.node_affinity
    [expression] = required.match_expressions
    assert (expression.key, expression.operator, list(expression.values)) == ("zone", "In", ["a", "b"])
    assert not required.HasField("weight") and preferred.weight == 5 and preferred.match_fields[0].values == ["old"]
    [apart] = message.pod_affinity
    assert apart.anti and dict(apart.match_pod_labels) == {"app": "x"}


def test_the_pod_itself(message):
    assert (message.image_pull_policy, message.active_deadline_seconds) == ("Always", 600)
    assert [secret.secret_name for secret in message.image_pull_secret] == ["registry"]
    assert dict(message.pod_metadata.labels) == {"team": "ads"}


def test_newer_fields_have_the_names_of_the_backends_proto():
    config = platform.make_executor_config(FULL)
    assert config["pvcMount"][1] == {"constant": "data", "mountPath": "/b", "subPath": "b/c"}
    assert config["securityContext"] == {"runAsUser": "1000", "runAsGroup": "0", "runAsNonRoot": True}


def test_a_setting_that_is_false_is_not_one_that_is_missing():
    config = platform.make_executor_config(
        NodeResources.model_validate({"security_context": {"run_as_non_root": False}})
    )
    assert config == {"securityContext": {"runAsNonRoot": False}}


def test_unknown_fields_are_found_however_deep():
    config = {"pvcMount": [{"mountPath": "/a", "sub": "x"}], "podMetadata": {"labels": {"any": "x"}}, "later": {}}
    assert platform.find_unknown_fields(config) == ["later", "pvcMount.sub"]
    with pytest.raises(json_format.ParseError):
        platform.parse_executor_config(config)


def test_nothing_asked_is_no_document():
    assert platform.make_platform_spec({"Trainer_executor": NodeResources()}) == {}


def test_a_node_overrides_the_default_key_by_key():
    config = KubeflowConfig.model_validate(
        {"default": {"cpu_cores": 2, "memory_gb": 4}, "components": {"Trainer": {"memory_gb": 0, "gpu_count": 1}}}
    )
    trainer = config.resolve_resources("Trainer")
    assert (trainer.cpu_cores, trainer.memory_gb, trainer.gpu_count) == (2, 0, 1)
    assert config.resolve_resources("Transform").memory_gb == 4


def test_the_pod_that_comes_of_it_is_one_that_the_api_takes():
    """As the driver patches it (the emulator's, compared with Kubeflow's own), read by Kubernetes' models."""
    config = {name: value for name, value in platform.make_executor_config(FULL).items() if name != "podAffinity"}
    pod = extend_patch({"containers": [{"name": "main", "image": "x"}]}, config)
    assert find_pod_mistakes(pod) == []
    [main] = pod["containers"]
    assert {mount["mountPath"] for mount in main["volumeMounts"]} == set(FULL.list_mount_paths())
    assert {variable["name"] for variable in main["env"]} == set(FULL.list_variables())
    assert main["securityContext"]["runAsNonRoot"] is True and main["securityContext"]["runAsUser"] == 1000
    assert pod["activeDeadlineSeconds"] == 600 and pod["imagePullSecrets"] == [{"name": "registry"}]
    assert {"required", "preferred"} == {name[:9].rstrip("D") for name in pod["affinity"]["nodeAffinity"]}
