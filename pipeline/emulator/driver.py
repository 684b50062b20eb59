"""The driver, before a task's container: inputs, the condition, names of the outputs, the cache's key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from taxiway.pipeline.emulator import errors, expression, subdags
from taxiway.pipeline.emulator.errors import RefusedError, TaskFailedError
from taxiway.pipeline.emulator.package import Package
from taxiway.pipeline.emulator.protojson import drop_empty
from taxiway.pipeline.emulator.releases import DEFAULT_RELEASE, RELEASES, Release
from taxiway.pipeline.emulator.store import Artifact, TaskOutputs

Parameter = Any
LOCAL_FOLDERS = {"gs": "gcs", "s3": "s3", "minio": "minio"}
"""`LocalPathForURI`: folders of a container, by the scheme of what they hold copies of."""
OUTPUT_FILE = "output_metadata.json"
PARAMETER_FOLDER = "/tmp/kfp/outputs"
EXECUTOR_LOGS = "executor-logs"
"""An output that the driver adds to every task (`provisionOutputs`); the launcher writes the container's text there."""
_KINDS: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}
_SAID = {"STRING": "string", "NUMBER_INTEGER": "double or integer", "NUMBER_DOUBLE": "double or integer",
         "BOOLEAN": "bool", "LIST": "list", "STRUCT": "struct"}  # fmt: skip


@dataclass(frozen=True)
class PipelineJob:
    """One run of a package.

    Attributes:
        package: Package that runs.
        run_id: Id of the run, a UUID on a cluster.
        root: Pipeline root of the request.
        parameters: Parameters of the root, defaults filled in.
        created: Time of creation, as RFC 3339.
        publish_logs: The cluster's `PUBLISH_LOGS`, true by default since 2.5.
        cache: Whether the server's cache is on.
        release: Release of the backend.
    """

    package: Package
    run_id: str
    root: str
    parameters: Mapping[str, Parameter]
    created: str = ""
    publish_logs: bool = True
    cache: bool = True
    release: Release = RELEASES[DEFAULT_RELEASE]

    @property
    def run_root(self) -> str:
        """`GetPipeline`: where the run's artifacts go."""
        return f"{self.root.rstrip('/')}/{self.package.name}/{self.run_id}"


@dataclass(frozen=True)
class TaskDecision:
    """What the driver decides on one task.

    Attributes:
        executor_input: `ExecutorInput`, JSON values.
        triggered: Whether the condition holds.
        fingerprint: Key of the cache; empty where the task is not cached.
        outputs: Artifacts that the container is to write, as JSON values, by key.
    """

    executor_input: dict[str, Any]
    triggered: bool = True
    fingerprint: str = ""
    outputs: dict[str, Artifact] = field(default_factory=dict)


def fill_run_parameters(package: Package, given: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters of a run, validated as `validatePipelineJobInputs` does.

    Raises:
        RefusedError: One is missing, unknown or of another type.
    """
    declared = package.spec.root.input_definitions.parameters
    unknown = sorted(set(given) - set(declared))
    if unknown:
        problem = f"parameter(s) provided are not required by pipeline: {', '.join(unknown)}"
        raise RefusedError(problem, errors.API_SERVER)
    values = {}
    for name, spec in declared.items():
        if name in given:
            values[name] = _check_parameter_type(name, given[name], _find_parameter_type(spec))
        elif spec.HasField("default_value"):
            values[name] = json_format.MessageToDict(spec.default_value)
        elif not spec.is_optional:
            problem = f"parameter {name} is not optional, yet has neither default value nor user provided value"
            raise RefusedError(problem, errors.API_SERVER)
    return values


def _find_parameter_type(spec: Any) -> str:
    return str(pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(spec.parameter_type))


def _check_parameter_type(name: str, value: Parameter, kind: str) -> Parameter:
    right = isinstance(value, _KINDS.get(kind, ())) and isinstance(value, bool) == (kind == "BOOLEAN")
    if not right:
        problem = f"input parameter {name} requires type {_SAID.get(kind, 'unknown')}, but got {value!r}"
        raise RefusedError(problem, errors.API_SERVER)
    return value


def decide_task(job: PipelineJob, task_name: str, finished: Mapping[str, TaskOutputs], salt: str) -> TaskDecision:
    """The driver's work for one task.

    Args:
        job: The run.
        task_name: The task; what it depends on has succeeded.
        finished: Outputs of the tasks that have ended, by task.
        salt: Part of the outputs' URIs, unique to the execution.

    Raises:
        TaskFailedError: The driver's pod would fail.
    """
    task, component = job.package.find_task(task_name), job.package.find_component(task_name)
    artifacts = {
        name: _resolve_artifact(job.release, name, spec, finished)
        for name, spec in sorted(task.inputs.artifacts.items())
    }
    parameters = _resolve_parameters(job, task_name, task, component, finished)
    executor_input = {"inputs": drop_empty({"artifacts": artifacts, "parameterValues": parameters})}
    condition = task.trigger_policy.condition
    if condition and not expression.evaluate_condition(executor_input, condition):
        return TaskDecision(executor_input, triggered=False)
    outputs = _provision_outputs(job, task_name, component, salt)
    task_root = f"{job.run_root}/{task_name}/{salt}"
    executor_input["outputs"] = drop_empty(
        {
            "artifacts": {key: {"artifacts": [artifact]} for key, artifact in outputs.items()},
            "parameters": _provision_parameters(component),
            "outputFile": f"/{relative_local_path(task_root)}/{OUTPUT_FILE}",
        }
    )
    cached = job.cache and task.caching_options.enable_cache
    fingerprint = _make_cache_key(job, task_name, executor_input) if cached else ""
    return TaskDecision(executor_input, True, fingerprint, outputs)


def relative_local_path(uri: str) -> str:
    """`LocalPathForURI`, without the leading slash."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in LOCAL_FOLDERS:
        problem = f"failed to generate local path for URI {uri}: unsupported storage scheme"
        raise TaskFailedError(problem, errors.LAUNCHER)
    return f"{LOCAL_FOLDERS[scheme]}/{rest}"


def _resolve_parameters(
    job: PipelineJob, task_name: str, task: Any, component: Any, finished: Mapping[str, TaskOutputs]
) -> dict[str, Parameter]:
    parameters = {
        name: _resolve_parameter(job, task_name, spec, finished)
        for name, spec in sorted(task.inputs.parameters.items())
    }
    for name, spec in component.input_definitions.parameters.items():
        if name in parameters:
            parameters[name] = _convert_parameter(name, parameters[name], _find_parameter_type(spec))
        elif job.release.fills_defaults and spec.HasField("default_value"):
            parameters[name] = json_format.MessageToDict(spec.default_value)
        elif not spec.is_optional and not spec.HasField("default_value"):
            problem = f'neither value nor default value provided for non-optional parameter "{name}"'
            raise TaskFailedError(f"{task_name}: {problem}", errors.RESOLVE)
    return parameters


def _resolve_parameter(job: PipelineJob, task_name: str, spec: Any, finished: Mapping[str, TaskOutputs]) -> Parameter:
    kind = spec.WhichOneof("kind")
    if kind == "component_input_parameter":
        name, scope = spec.component_input_parameter, job.package.scopes.get(task_name)
        if scope is not None:  # the parent DAG's own input, which the root gives it
            return _resolve_parameter(job, scope.name, subdags.find_outer_parameter(scope, name), finished)
        if name not in job.parameters:
            raise TaskFailedError(f"{task_name}: parent DAG does not have input parameter {name}", errors.RESOLVE)
        return job.parameters[name]
    if kind == "task_output_parameter":
        source = spec.task_output_parameter
        return _find_output(finished, source.producer_task, source.output_parameter_key, "parameter")
    if kind == "runtime_value" and spec.runtime_value.WhichOneof("value") == "constant":
        return _replace_placeholder(job, task_name, json_format.MessageToDict(spec.runtime_value.constant))
    raise TaskFailedError(f"{task_name}: parameter spec of type {kind} not implemented yet", errors.RESOLVE)


def _find_output(finished: Mapping[str, TaskOutputs], producer: str, key: str, kind: str) -> Any:
    if producer not in finished:
        problem = f'failed to resolve input {kind}: cannot find producer task "{producer}"'
        raise TaskFailedError(problem, errors.RESOLVE)
    outputs = finished[producer].artifacts if kind == "artifact" else finished[producer].parameters
    if key not in outputs:
        problem = f'cannot find output {kind} key "{key}" in producer task "{producer}"'
        raise TaskFailedError(problem, errors.RESOLVE)
    return outputs[key]


def _replace_placeholder(job: PipelineJob, task_name: str, value: Parameter) -> Parameter:
    """The constants that the driver replaces; only where they are the whole value."""
    values = {
        "{{$.pipeline_job_name}}": job.package.name,
        "{{$.pipeline_job_resource_name}}": f"{job.package.name}-{job.run_id[:5]}",
        "{{$.pipeline_job_uuid}}": job.run_id,
        "{{$.pipeline_task_name}}": task_name,
        "{{$.pipeline_task_uuid}}": "1",
        "{{$.pipeline_job_create_time_utc}}": job.created,
        "{{$.pipeline_job_schedule_time_utc}}": job.created,
    }
    return values.get(value, value) if isinstance(value, str) else value


def _convert_parameter(name: str, value: Parameter, kind: str) -> Parameter:
    if kind == "STRING":
        return value if isinstance(value, str) else format_parameter(value)
    if not isinstance(value, _KINDS.get(kind, ())) or isinstance(value, bool) != (kind == "BOOLEAN"):
        problem = f'input parameter "{name}" type mismatch: expect {kind}, got {type(value).__name__}'
        raise TaskFailedError(problem, errors.RESOLVE)
    return value


def format_parameter(value: Parameter) -> str:
    """`PbValueToText`: numbers without an exponent or a needless point, the rest as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return format(Decimal(int(value) if float(value).is_integer() else repr(value)), "f")
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)


def _resolve_artifact(
    release: Release, name: str, spec: Any, finished: Mapping[str, TaskOutputs]
) -> dict[str, list[Artifact]]:
    """An upstream artifact, as the backend gives it back."""
    if spec.WhichOneof("kind") != "task_output_artifact":
        raise TaskFailedError(f"failed to resolve input artifact {name}: no parent DAG has it", errors.RESOLVE)
    source = spec.task_output_artifact
    stored = _find_output(finished, source.producer_task, source.output_artifact_key, "artifact")
    return {"artifacts": [release.describe_input(stored)]}


def _provision_outputs(job: PipelineJob, task_name: str, component: Any, salt: str) -> dict[str, Artifact]:
    """`provisionOutputs`: where the container is to write, with types, this time."""
    provisioned = {}
    for key, spec in sorted(component.output_definitions.artifacts.items()):
        values = json_format.MessageToDict(spec)
        uri = f"{job.run_root}/{task_name}/{salt}/{key}"
        artifact = {"name": key, "uri": uri, "type": values["artifactType"]}
        provisioned[key] = {**artifact, **({"metadata": values["metadata"]} if "metadata" in values else {})}
    if job.publish_logs:
        uri = f"{job.run_root}/{task_name}/{salt}/{EXECUTOR_LOGS}"
        provisioned[EXECUTOR_LOGS] = {"name": EXECUTOR_LOGS, "uri": uri, "type": {"schemaTitle": "system.Artifact"}}
    return provisioned


def _provision_parameters(component: Any) -> dict[str, dict[str, str]]:
    return {name: {"outputFile": f"{PARAMETER_FOLDER}/{name}"} for name in component.output_definitions.parameters}


def _make_cache_key(job: PipelineJob, task_name: str, executor_input: Mapping[str, Any]) -> str:
    """`GenerateCacheKey`: ids of the inputs, parameters, the outputs' types, image and command, volume claims."""
    container = job.package.find_container(task_name)
    inputs, outputs = executor_input["inputs"], executor_input["outputs"]
    mounts = job.package.find_kubernetes_config(task_name).get("pvcMount", [])
    key = {
        "release": job.release.name,
        "pipeline": job.package.name,
        "inputs": {
            name: [artifact.get("artifactId", artifact["name"]) for artifact in listed["artifacts"]]
            for name, listed in inputs.get("artifacts", {}).items()
        },
        "parameters": inputs.get("parameterValues", {}),
        "outputs": {
            key: {x: y for x, y in listed["artifacts"][0].items() if x != "uri"}
            for key, listed in outputs.get("artifacts", {}).items()
        },
        "output_parameters": sorted(outputs.get("parameters", {})),
        "image": container.image,
        "command": [*container.command, *container.args],
        "claims": sorted({mount.get("constant", "") for mount in mounts}),
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
