"""The compiled file, read as the API server reads it and judged as the workflow compiler judges it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.emulator import refusals
from pipeline.emulator.refusals import RefusedError

SCHEMA_VERSION = "2.1.0"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DUMMY_IMAGES = frozenset({"argostub/createpvc", "argostub/deletepvc"})
EXECUTOR_CONFIG_FIELDS = frozenset(
    {
        "secretAsVolume",
        "secretAsEnv",
        "pvcMount",
        "nodeSelector",
        "podMetadata",
        "imagePullSecret",
        "imagePullPolicy",
        "configMapAsVolume",
        "configMapAsEnv",
        "activeDeadlineSeconds",
        "fieldPathAsEnv",
        "tolerations",
        "genericEphemeralVolume",
        "nodeAffinity",
        "podAffinity",
        "enabledSharedMemory",
        "emptyDirMounts",
        "securityContext",
    }
)
"""`kubernetes_platform/proto/kubernetes_executor_config.proto` of the release."""


@dataclass(frozen=True)
class Package:
    """A pipeline that the backend takes.

    Attributes:
        spec: The specification.
        deployment: Its executors.
        kubernetes: By executor label: `KubernetesExecutorConfig`, JSON values.
        order: The root's tasks, each after what it depends on.
        depends: By task: the tasks that must have succeeded.
        ignored: What the file asks for and the backend does not look at.
    """

    spec: Any
    deployment: Any
    kubernetes: Mapping[str, Mapping[str, Any]]
    order: tuple[str, ...]
    depends: Mapping[str, tuple[str, ...]]
    ignored: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.spec.pipeline_info.name)

    def task(self, name: str) -> Any:
        return self.spec.root.dag.tasks[name]

    def component(self, name: str) -> Any:
        """The component of a task."""
        return self.spec.components[self.task(name).component_ref.name]

    def container(self, name: str) -> Any:
        """The container of a task."""
        return self.deployment.executors[self.component(name).executor_label].container

    def kubernetes_of(self, name: str) -> Mapping[str, Any]:
        """What the platform's document asks for a task."""
        return self.kubernetes.get(self.component(name).executor_label, {})


def read(text: str) -> Package:
    """Reads a compiled file.

    Raises:
        RefusedError: As the API server answers to an upload, or to a run.
    """
    spec, platform = _documents(text)
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    values = json_format.MessageToDict(spec.deployment_spec)
    json_format.ParseDict(values, deployment, ignore_unknown_fields=True)
    kubernetes = _kubernetes(platform)
    for refuse in (_check_components, _check_kubernetes):
        refuse(spec, deployment, kubernetes)
    depends = _depends(spec.root.dag.tasks)
    ignored = tuple(_ignored(spec, deployment))
    return Package(spec, deployment, kubernetes, _order(depends), depends, ignored)


def _documents(text: str) -> tuple[Any, dict[str, Any]]:
    """`NewV2SpecTemplate`."""
    spec, platform = None, None
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise RefusedError(f"unable to decode yaml document: {error}", refusals.API_SERVER) from error
    for document in documents:
        if _is_pipeline(document):
            if spec is not None:
                raise RefusedError("multiple pipeline specs provided", refusals.API_SERVER)
            spec = _specification(document)
        elif isinstance(document, dict) and "kubernetes" in document.get("platforms", {}):
            if platform is not None:
                raise RefusedError("multiple platform specs provided", refusals.API_SERVER)
            platform = document
    if spec is None:
        raise RefusedError("no pipeline spec is provided", refusals.API_SERVER)
    return spec, platform or {}


def _is_pipeline(document: Any) -> bool:
    """`isPipelineSpec`: by two of its keys."""
    return isinstance(document, dict) and ("pipelineInfo" in document or "schemaVersion" in document)


def _specification(document: dict[str, Any]) -> Any:
    try:
        spec = json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError as error:
        raise RefusedError(f"invalid v2 pipeline spec: {error}", refusals.API_SERVER) from error
    if spec.schema_version != SCHEMA_VERSION:
        problem = f"KFP only supports schema version 2.1.0, but the pipeline spec has version {spec.schema_version}"
        raise RefusedError(problem, refusals.API_SERVER)
    if not spec.pipeline_info.name:
        raise RefusedError("invalid v2 pipeline spec: name is empty", refusals.API_SERVER)
    if not NAME.search(spec.pipeline_info.name):  # the backend searches too: one good letter is enough
        problem = "invalid v2 pipeline spec: name should consist of lower case alphanumeric characters, '-' or '.'"
        raise RefusedError(problem, refusals.API_SERVER)
    if not spec.HasField("root"):
        raise RefusedError("invalid v2 pipeline spec: root component is empty", refusals.API_SERVER)
    return spec


def _kubernetes(platform: dict[str, Any]) -> dict[str, dict[str, Any]]:
    deployment = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    return dict(deployment.get("executors", {}))


def _check_components(spec: Any, deployment: Any, _: Any) -> None:
    """`Accept` and `workflowCompiler.task`."""
    if not spec.root.HasField("dag"):
        raise RefusedError('error processing component name="root": unknown component implementation', refusals.VISITOR)
    for name, task in sorted(spec.root.dag.tasks.items()):
        reference = task.component_ref.name
        if not reference:
            raise RefusedError(f'component ref name is empty for task name="{name}"', refusals.VISITOR)
        if reference not in spec.components:
            raise RefusedError(f'cannot find component ref name="{reference}"', refusals.VISITOR)
        _check_executor(name, task, spec.components[reference], deployment)
    if not spec.root.dag.tasks:
        raise RefusedError("DAG root must contain one or more non-exit tasks", refusals.ARGO_DAG)


def _check_executor(name: str, task: Any, component: Any, deployment: Any) -> None:
    label = component.executor_label
    if not label:
        raise EmulatorLimitError(f"{name} is a pipeline inside the pipeline", "sub-DAGs")
    if label not in deployment.executors:
        raise RefusedError(f'executor(label="{label}") not found in deployment config', refusals.VISITOR)
    executor = deployment.executors[label]
    kind = executor.WhichOneof("spec")
    if kind == "importer":
        if task.trigger_policy.condition:
            problem = f'compiling task "{name}": triggerPolicy.condition on importer task is not supported'
            raise RefusedError(problem, refusals.ARGO_DAG)
        raise EmulatorLimitError(f"{name} is an importer", "importers")
    if kind != "container":
        problem = f'executor(label="{label}"): non-container and non-importer executor not implemented'
        said = " (resolver executors not implemented)" if kind == "resolver" else ""
        raise RefusedError(problem + said, f"{refusals.VISITOR}, {refusals.ARGO_DAG}")
    if executor.container.image in DUMMY_IMAGES:
        raise EmulatorLimitError(f"{name} creates or deletes a volume claim", "claims made by a pipeline")
    if task.WhichOneof("iterator"):
        raise EmulatorLimitError(f"{name} is a loop", "loops")


class EmulatorLimitError(refusals.UsageError):
    """The backend takes it; the emulator does not have it."""

    def __init__(self, problem: str, what: str) -> None:
        super().__init__(f"{problem}: the emulator has no {what}.", "TFX's compiler emits none; run it on a cluster.")


def _check_kubernetes(_: Any, __: Any, kubernetes: Mapping[str, Mapping[str, Any]]) -> None:
    """`AddKubernetesSpec` reads the protobuf strictly."""
    for label, config in kubernetes.items():
        unknown = sorted(set(config) - EXECUTOR_CONFIG_FIELDS)
        if unknown:
            problem = f'failed to add Kubernetes spec for {label}: unknown field "{unknown[0]}"'
            raise RefusedError(problem, refusals.SPEC_PATCH)


def _depends(tasks: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """`addImplicitDependencies`: what a task reads, it depends on."""
    depends = {}
    for name, task in tasks.items():
        found = set(task.dependent_tasks)
        for artifact in task.inputs.artifacts.values():
            if artifact.WhichOneof("kind") == "task_output_artifact":
                found.add(artifact.task_output_artifact.producer_task)
        for parameter in task.inputs.parameters.values():
            if parameter.WhichOneof("kind") == "task_output_parameter":
                found.add(parameter.task_output_parameter.producer_task)
        for producer in sorted(found - set(tasks)):
            problem = f'failed to add implicit deps: unknown producer task "{producer}" in DAG'
            raise RefusedError(problem, refusals.ARGO_DAG)
        depends[name] = tuple(sorted(found))
    return depends


def _order(depends: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    order: list[str] = []
    waiting = sorted(depends)
    while waiting:
        ready = [name for name in waiting if set(depends[name]) <= set(order)]
        if not ready:
            raise RefusedError(f"the tasks {', '.join(waiting)} depend on one another", refusals.ARGO_DAG)
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return tuple(order)


def _ignored(spec: Any, deployment: Any) -> Iterator[str]:
    if spec.default_pipeline_root:
        yield "defaultPipelineRoot: the root comes with the run's request (backend/src/v2/driver/root_dag.go)"
    for label, executor in sorted(deployment.executors.items()):
        if executor.container.HasField("lifecycle"):
            yield f"{label}: lifecycle.preCacheCheck never runs ({refusals.CONTAINER_DRIVER})"
