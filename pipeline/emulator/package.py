"""The compiled file, read as the API server reads it and judged as the workflow compiler judges it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from taxiway.pipeline.emulator import errors, subdags
from taxiway.pipeline.emulator.errors import RefusedError
from taxiway.pipeline.emulator.subdags import EmulatorLimitError

SCHEMA_VERSION = "2.1.0"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DROPPED_FIELDS = ("podAffinity", "enabledSharedMemory")
"""Fields that the platform's message has and the driver of release 2.17 does not read."""
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
        spec: Specification of the pipeline.
        deployment: Executors of the specification.
        kubernetes: `KubernetesExecutorConfig` as JSON values, by executor label.
        order: Tasks with containers, each after those that it depends on; exit tasks last.
        depends: Tasks that must have succeeded before a task, by task.
        tasks: Tasks with containers, of the root and of pipelines inside it, by name.
        scopes: Pipeline inside the pipeline that a task belongs to, by task; none for tasks of the root.
        exits: Tasks that run at the end of a pipeline inside the pipeline, however it ended.
        ignored: Settings of the file that the backend ignores.
    """

    spec: Any
    deployment: Any
    kubernetes: Mapping[str, Mapping[str, Any]]
    order: tuple[str, ...]
    depends: Mapping[str, tuple[str, ...]]
    ignored: tuple[str, ...]
    tasks: Mapping[str, Any]
    scopes: Mapping[str, subdags.Scope]
    exits: frozenset[str]

    @property
    def name(self) -> str:
        return str(self.spec.pipeline_info.name)

    def find_task(self, name: str) -> Any:
        return self.tasks[name]

    def find_component(self, name: str) -> Any:
        """The component of a task."""
        return self.spec.components[self.find_task(name).component_ref.name]

    def find_container(self, name: str) -> Any:
        """The container of a task."""
        return self.deployment.executors[self.find_component(name).executor_label].container

    def find_kubernetes_config(self, name: str) -> Mapping[str, Any]:
        """What the platform's document asks for a task."""
        return self.kubernetes.get(self.find_component(name).executor_label, {})


def read_package(text: str) -> Package:
    """Reads a compiled file.

    Raises:
        RefusedError: The API server would refuse the upload, or the run.
    """
    spec, platform = _split_documents(text)
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    values = json_format.MessageToDict(spec.deployment_spec)
    json_format.ParseDict(values, deployment, ignore_unknown_fields=True)
    kubernetes = _find_executor_configs(platform)
    for refuse in (_check_components, _check_kubernetes):
        refuse(spec, deployment, kubernetes)
    exits = subdags.list_exit_tasks(spec)
    depends = {name: found for tasks in subdags.list_dags(spec) for name, found in _find_dependencies(tasks).items()}
    order = (*_sort_tasks(depends), *sorted(exits))
    ignored, scopes = tuple(_find_ignored(spec, deployment, kubernetes)), subdags.list_task_scopes(spec)
    return Package(spec, deployment, kubernetes, order, depends, ignored, subdags.list_tasks(spec), scopes, exits)


def _split_documents(text: str) -> tuple[Any, dict[str, Any]]:
    """`NewV2SpecTemplate`."""
    spec, platform = None, None
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise RefusedError(f"unable to decode yaml document: {error}", errors.API_SERVER) from error
    for document in documents:
        if _is_pipeline(document):
            if spec is not None:
                raise RefusedError("multiple pipeline specs provided", errors.API_SERVER)
            spec = _parse_specification(document)
        elif isinstance(document, dict) and "kubernetes" in document.get("platforms", {}):
            if platform is not None:
                raise RefusedError("multiple platform specs provided", errors.API_SERVER)
            platform = document
    if spec is None:
        raise RefusedError("no pipeline spec is provided", errors.API_SERVER)
    return spec, platform or {}


def _is_pipeline(document: Any) -> bool:
    """`isPipelineSpec`: by two of its keys."""
    return isinstance(document, dict) and ("pipelineInfo" in document or "schemaVersion" in document)


def _parse_specification(document: dict[str, Any]) -> Any:
    try:
        spec = json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError as error:
        raise RefusedError(f"invalid v2 pipeline spec: {error}", errors.API_SERVER) from error
    if spec.schema_version != SCHEMA_VERSION:
        problem = f"KFP only supports schema version 2.1.0, but the pipeline spec has version {spec.schema_version}"
        raise RefusedError(problem, errors.API_SERVER)
    if not spec.pipeline_info.name:
        raise RefusedError("invalid v2 pipeline spec: name is empty", errors.API_SERVER)
    if not NAME.search(spec.pipeline_info.name):  # the backend searches too: one good letter is enough
        problem = "invalid v2 pipeline spec: name should consist of lower case alphanumeric characters, '-' or '.'"
        raise RefusedError(problem, errors.API_SERVER)
    if not spec.HasField("root"):
        raise RefusedError("invalid v2 pipeline spec: root component is empty", errors.API_SERVER)
    return spec


def _find_executor_configs(platform: dict[str, Any]) -> dict[str, dict[str, Any]]:
    deployment = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    return dict(deployment.get("executors", {}))


def _check_components(spec: Any, deployment: Any, _: Any) -> None:
    """`Accept` and `workflowCompiler.task`."""
    if not spec.root.HasField("dag"):
        raise RefusedError('error processing component name="root": unknown component implementation', errors.VISITOR)
    for name, task in sorted({**spec.root.dag.tasks, **subdags.list_inner_tasks(spec)}.items()):
        reference = task.component_ref.name
        if not reference:
            raise RefusedError(f'component ref name is empty for task name="{name}"', errors.VISITOR)
        if reference not in spec.components:
            raise RefusedError(f'cannot find component ref name="{reference}"', errors.VISITOR)
        if not spec.components[reference].HasField("dag"):
            _check_executor(name, task, spec.components[reference], deployment)
    if not spec.root.dag.tasks:
        raise RefusedError("DAG root must contain one or more non-exit tasks", errors.ARGO_DAG)


def _check_executor(name: str, task: Any, component: Any, deployment: Any) -> None:
    label = component.executor_label
    if not label:
        raise EmulatorLimitError(f"{name} is a pipeline inside the pipeline", "sub-DAGs of more than two levels")
    if label not in deployment.executors:
        raise RefusedError(f'executor(label="{label}") not found in deployment config', errors.VISITOR)
    executor = deployment.executors[label]
    kind = executor.WhichOneof("spec")
    if kind == "importer":
        if task.trigger_policy.condition:
            problem = f'compiling task "{name}": triggerPolicy.condition on importer task is not supported'
            raise RefusedError(problem, errors.ARGO_DAG)
        raise EmulatorLimitError(f"{name} is an importer", "importers")
    if kind != "container":
        problem = f'executor(label="{label}"): non-container and non-importer executor not implemented'
        said = " (resolver executors not implemented)" if kind == "resolver" else ""
        raise RefusedError(problem + said, f"{errors.VISITOR}, {errors.ARGO_DAG}")
    if executor.container.image in DUMMY_IMAGES:
        raise EmulatorLimitError(f"{name} creates or deletes a volume claim", "claims made by a pipeline")
    if task.WhichOneof("iterator"):
        raise EmulatorLimitError(f"{name} is a loop", "loops")


def _check_kubernetes(_: Any, __: Any, kubernetes: Mapping[str, Mapping[str, Any]]) -> None:
    """`AddKubernetesSpec` reads the protobuf strictly."""
    for label, config in kubernetes.items():
        unknown = sorted(set(config) - EXECUTOR_CONFIG_FIELDS)
        if unknown:
            problem = f'failed to add Kubernetes spec for {label}: unknown field "{unknown[0]}"'
            raise RefusedError(problem, errors.SPEC_PATCH)


def _find_dependencies(tasks: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """`addImplicitDependencies`: what a task reads, it depends on."""
    depends = {}
    for name, task in tasks.items():
        producers = set(task.dependent_tasks)
        for artifact in task.inputs.artifacts.values():
            if artifact.WhichOneof("kind") == "task_output_artifact":
                producers.add(artifact.task_output_artifact.producer_task)
        for parameter in task.inputs.parameters.values():
            if parameter.WhichOneof("kind") == "task_output_parameter":
                producers.add(parameter.task_output_parameter.producer_task)
        for producer in sorted(producers - set(tasks)):
            problem = f'failed to add implicit deps: unknown producer task "{producer}" in DAG'
            raise RefusedError(problem, errors.ARGO_DAG)
        depends[name] = tuple(sorted(producers))
    return depends


def _sort_tasks(depends: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    order: list[str] = []
    waiting = sorted(depends)
    while waiting:
        ready = [name for name in waiting if set(depends[name]) <= set(order)]
        if not ready:
            raise RefusedError(f"the tasks {', '.join(waiting)} depend on one another", errors.ARGO_DAG)
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return tuple(order)


def _find_ignored(spec: Any, deployment: Any, kubernetes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if spec.default_pipeline_root:
        yield "defaultPipelineRoot: the root comes with the run's request (backend/src/v2/driver/root_dag.go)"
    for label, executor in sorted(deployment.executors.items()):
        if executor.container.HasField("lifecycle"):
            yield f"{label}: lifecycle.preCacheCheck never runs ({errors.CONTAINER_DRIVER})"
    for name in sorted(subdags.list_loose_tasks(spec)):
        yield f"{name}: an exit task of no other task, which is never called ({errors.ARGO_DAG})"
    for label, config in sorted(kubernetes.items()):
        for name in DROPPED_FIELDS:
            if config.get(name):
                yield f"{label}: {name}: the message has it, the driver does not read it ({errors.PLATFORM})"
