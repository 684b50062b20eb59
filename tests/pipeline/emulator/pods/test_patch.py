"""Pod patches of small pipelines; those of the taxi pipeline are compared with recorded ones in tests/kubeflow."""

from __future__ import annotations

import json

import pytest

from taxiway.pipeline.emulator.driver import PipelineJob, decide_task
from taxiway.pipeline.emulator.errors import TaskFailedError
from taxiway.pipeline.emulator.package import read_package
from taxiway.pipeline.emulator.pods.kubernetes import list_mounts
from taxiway.pipeline.emulator.pods.patch import format_quantity, make_pod_patch, resolve_arguments
from taxiway.pipeline.emulator.pods.processes import Mount
from taxiway.pipeline.emulator.run import EmulationSettings, emulate_run
from tests.pipeline.emulator.sample import container, text, two_tasks

GIVEN = {"inputs": {"parameterValues": {"text": "hello", "epochs": 6.0, "rate": 1e-07, "on": True, "names": ["a"]}}}


def patch(config, **changes):
    spec = two_tasks()
    spec["deploymentSpec"]["executors"]["make_executor"]["container"] |= changes
    job = PipelineJob(read_package(text(spec, make=config)), "run-1", "minio://b/root", {"words": "hi"})
    return make_pod_patch(job, "make", decide_task(job, "make", {}, "salt"), 3)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(1.5, "", "1500m"), (8.0, "", "8"), (0.1, "", "100m"), (2000.0, "", "2k"),
     (4.5, "G", "4500M"), (16.0, "G", "16G"), (0.25, "G", "250M")],
)  # fmt: skip
def test_quantities_as_kubernetes_writes_them_back(value, unit, said):
    assert format_quantity(value, unit) == said


def test_parameters_in_the_command_line_are_the_drivers_work():
    arguments = ["--text={{$.inputs.parameters['text']}}", "{{$.inputs.parameters['epochs']}}",
                 "{{$.inputs.parameters['rate']}}", "{{$.inputs.parameters['on']}}", "{{$}}",
                 "{{$.inputs.parameters['names']}}", "{{$.outputs.artifacts['m'].path}}"]  # fmt: skip
    assert resolve_arguments(arguments, GIVEN) == [
        "--text=hello", "6", "0.0000001", "true", "{{$}}", '["a"]', "{{$.outputs.artifacts['m'].path}}",
    ]  # fmt: skip


def test_a_parameter_that_is_not_there_fails_the_driver():
    with pytest.raises(TaskFailedError, match='parameter "none" not found in executor input'):
        resolve_arguments(["{{$.inputs.parameters['none']}}"], GIVEN)


def test_an_optional_argument():
    clause = {"IfPresent": {"InputName": "text", "Then": ["--text", "{{$.inputs.parameters['text']}}"], "Else": "none"}}
    assert resolve_arguments([json.dumps(clause)], GIVEN) == ["--text", "hello"]
    clause["IfPresent"]["InputName"] = "missing"
    assert resolve_arguments([json.dumps(clause)], GIVEN) == ["none"]


def test_what_the_platforms_document_asks_for():
    made = patch(
        {
            "pvcMount": [{"constant": "claim", "mountPath": "/claim", "subPath": "inner"}],
            "secretAsVolume": [{"secretName": "s", "mountPath": "/secret", "optional": True}],
            "configMapAsVolume": [{"configMapName": "c", "mountPath": "/config"}],
            "secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "K"}], "optional": False}],
            "configMapAsEnv": [{"configMapName": "c", "keyToEnv": [{"configMapKey": "k", "envVar": "C"}]}],
            "fieldPathAsEnv": [{"name": "NODE", "fieldPath": "spec.nodeName"}],
            "emptyDirMounts": [{"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "1Gi"}],
            "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": "30"}],
            "nodeAffinity": [
                {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]},
                {"matchExpressions": [{"key": "z", "operator": "Exists"}], "weight": 5},
            ],
            "securityContext": {"runAsUser": "1000", "runAsNonRoot": True},
        }
    )
    [main] = made["containers"]
    assert list_mounts(made) == (
        Mount("claim", "/claim", "inner"),
        Mount("s", "/secret", read_only=True),
        Mount("c", "/config", read_only=True),
        Mount("", "/dev/shm"),
    )
    assert made["volumes"][-1] == {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    assert main["env"] == [
        {"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": False}}},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    assert made["tolerations"] == [{"key": "a", "operator": "Exists", "tolerationSeconds": 30}]
    affinity = made["affinity"]["nodeAffinity"]
    assert affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"][0]["matchExpressions"]
    assert affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["weight"] == 5
    assert main["securityContext"] == {"runAsUser": 1000, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}


def test_a_pull_policy_that_there_is_not():
    with pytest.raises(TaskFailedError, match="should be one of 'Always', 'Never' or 'IfNotPresent'"):
        patch({"imagePullPolicy": "Sometimes"})


def test_fields_that_the_driver_does_not_read_are_told(tmp_path):
    asked = {"podAffinity": [{"topologyKey": "zone"}], "enabledSharedMemory": {"volumeName": "shm", "size": "1Gi"}}
    assert "affinity" not in patch(asked) and "volumes" not in patch(asked)
    result = emulate_run(text(two_tasks(), make=asked), EmulationSettings(tmp_path))
    assert sum("the driver does not read it" in line for line in result.ignored) == 2


@pytest.mark.parametrize("release", ["2.17", "without-mlmd"])
def test_a_parameter_that_no_process_can_be_started_with(tmp_path, release):
    """The pipeline's own driver gets all parameters of a run in one argument."""
    long = EmulationSettings(tmp_path, parameters={"words": "x" * 131_072}, release=release)
    reason = emulate_run(text(two_tasks()), long).tasks["make"].reason
    assert "Argument list too long: --runtime_config has 131," in reason and "131,072" in reason


def test_a_launcher_that_cannot_be_started(tmp_path):
    """Short of the limit in the run's own argument, past it among the launcher's, where quotes are escaped."""
    reason = emulate_run(text(two_tasks()), EmulationSettings(tmp_path, parameters={"words": 'x"' * 43_500}))
    assert "make: /kfp-launcher/launch: Argument list too long: --executor_input" in reason.tasks["make"].reason


def test_a_command_that_the_kernel_refuses(tmp_path):
    """Nobody measures a placeholder's value in the command before the kernel does."""
    spec = two_tasks()
    twice = "{{$.inputs.parameters['text']}}" * 2
    spec["deploymentSpec"]["executors"]["make_executor"] = container("pass", twice)
    result = emulate_run(text(spec), EmulationSettings(tmp_path, parameters={"words": "x" * 70_000}))
    reason = result.tasks["make"].reason
    assert "make(0): Argument list too long: argument 3 has 140,001 bytes" in reason
