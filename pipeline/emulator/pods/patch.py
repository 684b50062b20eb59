"""The pod that the driver asks for: a patch of a Kubernetes pod's specification (`initPodSpecPatch`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from google.protobuf import json_format

from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.driver import EXECUTOR_LOGS, PipelineJob, TaskDecision, format_parameter
from taxiway.pipeline.emulator.errors import TaskFailedError
from taxiway.pipeline.emulator.pods.arguments import check_arguments
from taxiway.pipeline.emulator.pods.kubernetes import extend_patch
from taxiway.pipeline.emulator.protojson import drop_empty, write_message, write_stable_message

LAUNCHER = "/kfp-launcher/launch"
ML_METADATA = ("metadata-grpc-service.kubeflow.svc.cluster.local", "8080")
API_SERVER = ("ml-pipeline.kubeflow.svc.cluster.local", "8887")
_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\['(.+?)'\]\}\}")
_UNITS = {"T": 10**12, "G": 10**9, "M": 10**6, "k": 10**3, "": 1}


def make_pod_patch(job: PipelineJob, task_name: str, decision: TaskDecision, execution: int) -> dict[str, Any]:
    """The patch of a task's pod, as JSON values.

    Args:
        job: The run.
        task_name: Name of the task.
        decision: Decision of the driver; the task is triggered and not cached.
        execution: Number of the execution.

    Raises:
        TaskFailedError: A placeholder has no value, or an argument is longer than Linux takes.
    """
    container = job.package.find_container(task_name)
    launcher = _list_launcher_arguments(job, task_name, decision, execution)
    check_arguments(f"{task_name}: {LAUNCHER}", launcher)
    command = [LAUNCHER, *(text for pair in launcher.items() for text in pair)]
    command += ["--cache_disabled"] if not job.cache else []
    command += ["--publish_logs", "true"] if job.publish_logs else []  # the backend repeats it
    main = {
        "name": "main",
        "image": _resolve_text(container.image, decision.executor_input),
        "command": [*command, "--"],
        "args": resolve_arguments([*container.command, *container.args], decision.executor_input),
        "env": [{"name": variable.name, "value": variable.value} for variable in container.env],
    }
    patch = {"containers": [{**drop_empty(main), "resources": _make_resources(container.resources)}]}
    return extend_patch(patch, job.package.find_kubernetes_config(task_name))


def check_driver_arguments(job: PipelineJob, task_name: str) -> None:
    """What the driver itself is started with (`containerDriverTask`).

    Raises:
        TaskFailedError: An argument is longer than Linux takes.
    """
    messages = {
        "--component": job.package.find_component(task_name),
        "--task": job.package.find_task(task_name),
        "--container": job.package.find_container(task_name),
    }
    texts = {name: write_stable_message(json_format.MessageToDict(message)) for name, message in messages.items()}
    check_arguments(f"{task_name}: driver", texts)


def check_root_arguments(job: PipelineJob) -> None:
    """What the driver of the whole pipeline is started with, and of each pipeline inside it: all its tasks at once.

    Raises:
        TaskFailedError: An argument is longer than Linux takes.
    """
    values = write_message({"parameterValues": dict(job.parameters)})
    check_arguments("driver of the pipeline", {"--runtime_config": values})
    inner = {scope.name: scope.component for scope in job.package.scopes.values()}
    for name, component in {"the pipeline": job.package.spec.root, **inner}.items():
        check_arguments(
            f"driver of {name}", {"--component": write_stable_message(json_format.MessageToDict(component))}
        )


def _list_launcher_arguments(
    job: PipelineJob, task_name: str, decision: TaskDecision, execution: int
) -> dict[str, str]:
    executor_input = write_message(decision.executor_input)
    component = _describe_component(job, task_name)
    server = {"--ml_pipeline_server_address": API_SERVER[0], "--ml_pipeline_server_port": API_SERVER[1]}
    pod = {"--pod_name": "$(KFP_POD_NAME)", "--pod_uid": "$(KFP_POD_UID)"}
    run = {"--pipeline_name": job.package.name, "--run_id": job.run_id}
    logs = {"--publish_logs": "true" if job.publish_logs else "false"}
    if job.release.fills_defaults:  # without ML Metadata the launcher asks the API server for the component
        task = {"--task_id": f"{execution}", "--parent_task_id": "1", "--executor_input": executor_input}
        cache = {"--fingerprint": decision.fingerprint, "--task_name": task_name}
        return {**run, **task, "--namespace": "$(NAMESPACE)", **pod, **server, **logs, **cache}
    task = {"--execution_id": f"{execution}", "--executor_input": executor_input, "--component_spec": component}
    metadata = {"--mlmd_server_address": ML_METADATA[0], "--mlmd_server_port": ML_METADATA[1]}
    return {**run, **task, **pod, **server, **metadata, **logs}


def _describe_component(job: PipelineJob, task_name: str) -> str:
    """The component, to whose outputs `provisionOutputs` has added the log."""
    values = json_format.MessageToDict(job.package.find_component(task_name))
    artifacts = values.get("outputDefinitions", {}).get("artifacts")
    if job.publish_logs and artifacts is not None:
        artifacts[EXECUTOR_LOGS] = {"artifactType": {"schemaTitle": "system.Artifact"}}
    return write_message(values)


def resolve_arguments(arguments: Sequence[str], executor_input: Mapping[str, Any]) -> list[str]:
    """`resolveContainerArgs`: parameters in the command line; those that name outputs are left to the launcher.

    Raises:
        TaskFailedError: A parameter has no value.
    """
    resolved: list[str] = []
    for text in arguments:
        if "$.outputs" in text:
            resolved.append(text)
        elif text.strip().startswith('{"IfPresent":'):
            resolved += _resolve_presence(text, executor_input)
        else:
            resolved.append(_resolve_text(text, executor_input))
    return resolved


def _resolve_presence(text: str, executor_input: Mapping[str, Any]) -> list[str]:
    clause = json.loads(text)["IfPresent"]
    value = executor_input["inputs"].get("parameterValues", {}).get(clause["InputName"])
    chosen = clause.get("Then" if value is not None else "Else") or []
    return [_resolve_text(part, executor_input) for part in ([chosen] if isinstance(chosen, str) else chosen)]


def _resolve_text(text: str, executor_input: Mapping[str, Any]) -> str:
    values = executor_input["inputs"].get("parameterValues", {})

    def find_value(match: re.Match[str]) -> str:
        if match[1] not in values:
            problem = f'failed to resolve input parameters: parameter "{match[1]}" not found in executor input'
            raise TaskFailedError(problem, errors.DRIVER)
        return format_parameter(values[match[1]])

    return _INPUT.sub(find_value, text)


def _make_resources(asked: Any) -> dict[str, dict[str, str]]:
    kinds = (("limits", "limit"), ("requests", "request"))
    resources: dict[str, dict[str, str]] = {}
    for name, kind in kinds:
        memory, cores = getattr(asked, f"memory_{kind}"), getattr(asked, f"cpu_{kind}")
        resources[name] = {
            **({"cpu": format_quantity(cores)} if cores else {}),
            **({"memory": format_quantity(memory, "G")} if memory else {}),
        }
    if asked.accelerator.count and asked.accelerator.type:
        resources["limits"][asked.accelerator.type] = str(asked.accelerator.count)
    return {name: values for name, values in resources.items() if values}


def format_quantity(value: float, unit: str = "") -> str:
    """A quantity as Kubernetes writes it back: whole, with the largest unit that keeps it so, 4.5G as 4500M."""
    exact = Decimal(repr(value)) * _UNITS[unit]
    for name, size in _UNITS.items():
        if exact % size == 0:
            return f"{int(exact / size)}{name}"
    return f"{int((exact * 1000).to_integral_value(rounding='ROUND_CEILING'))}m"
