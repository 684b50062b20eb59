"""The driver, before a task's container: inputs, the condition, names of the outputs, the cache's key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.emulator import expression, refusals
from pipeline.emulator.package import Package
from pipeline.emulator.refusals import RefusedError, TaskFailedError
from pipeline.emulator.store import Artifact

Parameter = Any
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
class Job:
    """One run of a package.

    Attributes:
        package: What runs.
        run_id: The run's id, a UUID on a cluster.
        root: The pipeline root of the request.
        parameters: Every parameter of the root, defaults filled in.
        created: The time of creation, as RFC 3339.
        publish_logs: The cluster's `PUBLISH_LOGS`, true by default since 2.5.
    """

    package: Package
    run_id: str
    root: str
    parameters: Mapping[str, Parameter]
    created: str = ""
    publish_logs: bool = True

    @property
    def run_root(self) -> str:
        """`GetPipeline`: where the run's artifacts go."""
        return f"{self.root.rstrip('/')}/{self.package.name}/{self.run_id}"


@dataclass(frozen=True)
class Decision:
    """What the driver says of one task.

    Attributes:
        executor_input: `ExecutorInput`, JSON values.
        triggered: False: the condition does not hold.
        fingerprint: The cache's key; empty where the task is not cached.
        outputs: By key: the artifacts that the container is to write, JSON values.
    """

    executor_input: dict[str, Any]
    triggered: bool = True
    fingerprint: str = ""
    outputs: dict[str, Artifact] = field(default_factory=dict)


def run_parameters(package: Package, given: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters of a run, validated as `validatePipelineJobInputs` does.

    Raises:
        RefusedError: One is missing, unknown or of another type.
    """
    declared = package.spec.root.input_definitions.parameters
    unknown = sorted(set(given) - set(declared))
    if unknown:
        problem = f"parameter(s) provided are not required by pipeline: {', '.join(unknown)}"
        raise RefusedError(problem, refusals.API_SERVER)
    values = {}
    for name, spec in declared.items():
        if name in given:
            values[name] = _of_type(name, given[name], _kind(spec))
        elif spec.HasField("default_value"):
            values[name] = json_format.MessageToDict(spec.default_value)
        elif not spec.is_optional:
            problem = f"parameter {name} is not optional, yet has neither default value nor user provided value"
            raise RefusedError(problem, refusals.API_SERVER)
    return values


def _kind(spec: Any) -> str:
    return str(pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(spec.parameter_type))


def _of_type(name: str, value: Parameter, kind: str) -> Parameter:
    right = isinstance(value, _KINDS.get(kind, ())) and isinstance(value, bool) == (kind == "BOOLEAN")
    if not right:
        problem = f"input parameter {name} requires type {_SAID.get(kind, 'unknown')}, but got {value!r}"
        raise RefusedError(problem, refusals.API_SERVER)
    return value


def decide(job: Job, task_name: str, done: Mapping[str, Mapping[str, Artifact]], salt: str) -> Decision:
    """The driver's work for one task.

    Args:
        job: The run.
        task_name: The task; what it depends on has succeeded.
        done: By task: its outputs.
        salt: Part of the outputs' URIs, unique to the execution.

    Raises:
        TaskFailedError: The driver's pod would fail.
    """
    task, component = job.package.task(task_name), job.package.component(task_name)
    executor_input: dict[str, Any] = {
        "inputs": {
            "parameterValues": _parameters(job, task_name, task, component),
            "artifacts": {n: _artifact(n, spec, done) for n, spec in sorted(task.inputs.artifacts.items())},
        }
    }
    condition = task.trigger_policy.condition
    if condition and not expression.holds(executor_input, condition):
        return Decision(executor_input, triggered=False)
    outputs = _provision(job, task_name, component, salt)
    executor_input["outputs"] = {"artifacts": {key: {"artifacts": [a]} for key, a in outputs.items()}}
    cached = task.caching_options.enable_cache
    fingerprint = _fingerprint(job.package, task_name, executor_input) if cached else ""
    return Decision(executor_input, True, fingerprint, outputs)


def _parameters(job: Job, task_name: str, task: Any, component: Any) -> dict[str, Parameter]:
    found = {name: _parameter(job, task_name, spec) for name, spec in sorted(task.inputs.parameters.items())}
    for name, spec in component.input_definitions.parameters.items():
        if name in found:
            found[name] = _converted(name, found[name], _kind(spec))
        elif not spec.is_optional and not spec.HasField("default_value"):
            problem = f'neither value nor default value provided for non-optional parameter "{name}"'
            raise TaskFailedError(f"{task_name}: {problem}", refusals.RESOLVE)
    return found


def _parameter(job: Job, task_name: str, spec: Any) -> Parameter:
    kind = spec.WhichOneof("kind")
    if kind == "component_input_parameter":
        name = spec.component_input_parameter
        if name not in job.parameters:
            raise TaskFailedError(f"{task_name}: parent DAG does not have input parameter {name}", refusals.RESOLVE)
        return job.parameters[name]
    if kind == "runtime_value" and spec.runtime_value.WhichOneof("value") == "constant":
        return _placeholder(job, task_name, json_format.MessageToDict(spec.runtime_value.constant))
    raise TaskFailedError(f"{task_name}: parameter spec of type {kind} not implemented yet", refusals.RESOLVE)


def _placeholder(job: Job, task_name: str, value: Parameter) -> Parameter:
    """The constants that the driver replaces; only where they are the whole value."""
    known = {
        "{{$.pipeline_job_name}}": job.package.name,
        "{{$.pipeline_job_resource_name}}": f"{job.package.name}-{job.run_id[:5]}",
        "{{$.pipeline_job_uuid}}": job.run_id,
        "{{$.pipeline_task_name}}": task_name,
        "{{$.pipeline_task_uuid}}": "1",
        "{{$.pipeline_job_create_time_utc}}": job.created,
        "{{$.pipeline_job_schedule_time_utc}}": job.created,
    }
    return known.get(value, value) if isinstance(value, str) else value


def _converted(name: str, value: Parameter, kind: str) -> Parameter:
    if kind == "STRING":
        return value if isinstance(value, str) else as_text(value)
    if not isinstance(value, _KINDS.get(kind, ())) or isinstance(value, bool) != (kind == "BOOLEAN"):
        problem = f'input parameter "{name}" type mismatch: expect {kind}, got {type(value).__name__}'
        raise TaskFailedError(problem, refusals.RESOLVE)
    return value


def as_text(value: Parameter) -> str:
    """`PbValueToText`: numbers without an exponent or a needless point, the rest as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(int(value)) if float(value).is_integer() else format(value, "f").rstrip("0")
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)


def _artifact(name: str, spec: Any, done: Mapping[str, Mapping[str, Artifact]]) -> dict[str, list[Artifact]]:
    """An upstream artifact, as the metadata store gives it back: without its type.

    `GetOutputArtifactsByExecutionId` leaves the schema empty, and `ToRuntimeArtifact` hands that on.
    """
    if spec.WhichOneof("kind") != "task_output_artifact":
        raise TaskFailedError(f"failed to resolve input artifact {name}: no parent DAG has it", refusals.RESOLVE)
    source = spec.task_output_artifact
    outputs = done.get(source.producer_task)
    if outputs is None:
        problem = f'failed to resolve input artifact {name}: cannot find producer task "{source.producer_task}"'
        raise TaskFailedError(problem, refusals.RESOLVE)
    if source.output_artifact_key not in outputs:
        problem = f'cannot find output artifact key "{source.output_artifact_key}" in producer "{source.producer_task}"'
        raise TaskFailedError(problem, refusals.RESOLVE)
    return {"artifacts": [{**outputs[source.output_artifact_key], "type": {"instanceSchema": ""}}]}


def _provision(job: Job, task_name: str, component: Any, salt: str) -> dict[str, Artifact]:
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


def _fingerprint(package: Package, task_name: str, executor_input: Mapping[str, Any]) -> str:
    """`GenerateCacheKey`: numbers of the inputs, parameters, the outputs' types, image and command, volume claims."""
    container = package.container(task_name)
    inputs, outputs = executor_input["inputs"], executor_input["outputs"]["artifacts"]
    mounts = package.kubernetes_of(task_name).get("pvcMount", [])
    key = {
        "pipeline": package.name,
        "inputs": {name: [a["name"] for a in found["artifacts"]] for name, found in inputs["artifacts"].items()},
        "parameters": inputs["parameterValues"],
        "outputs": {k: {x: y for x, y in v["artifacts"][0].items() if x != "uri"} for k, v in outputs.items()},
        "image": container.image,
        "command": [*container.command, *container.args],
        "claims": sorted({mount.get("constant", "") for mount in mounts}),
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
