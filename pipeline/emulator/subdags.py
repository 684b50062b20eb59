"""Pipelines inside the pipeline, as far as exit handlers need them: tasks of inner DAGs, their parameters, exit tasks.

An inner DAG's tasks run as the root's do. An exit task has the strategy `ALL_UPSTREAM_TASKS_COMPLETED`: it becomes the
exit hook of the task that it depends on (`argocompiler/dag.go`), runs however that one ended, and does not change how
the run ended (Argo's `assessDAGPhase`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kfp.pipeline_spec import pipeline_spec_pb2

from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.errors import RefusedError, TaskFailedError, UsageError

_STRATEGIES = pipeline_spec_pb2.PipelineTaskSpec.TriggerPolicy.TriggerStrategy


class EmulatorLimitError(UsageError):
    """The backend accepts it; the emulator does not support it."""

    def __init__(self, problem: str, what: str) -> None:
        super().__init__(f"{problem}: the emulator has no {what}.", "TFX's compiler emits none; run it on a cluster.")


@dataclass(frozen=True)
class Scope:
    """An inner pipeline.

    Attributes:
        name: Name of the task that stands for it.
        task: That task.
        component: Its component, whose DAG holds the inner tasks.
    """

    name: str
    task: Any
    component: Any


def is_exit_task(task: Any) -> bool:
    """Whether a task runs at the end of another one, however that one ended."""
    return bool(task.trigger_policy.strategy == _STRATEGIES.Value("ALL_UPSTREAM_TASKS_COMPLETED"))


def list_loose_tasks(spec: Any) -> frozenset[str]:
    """Exit tasks of the root that depend on no task: they are compiled, and nothing ever calls them."""
    return frozenset(name for name, t in spec.root.dag.tasks.items() if is_exit_task(t) and not t.dependent_tasks)


def list_scopes(spec: Any) -> dict[str, Scope]:
    """The inner pipelines of the root, by the name of their tasks.

    Raises:
        RefusedError, EmulatorLimitError: The backend, or the emulator, does not run one of them.
    """
    scopes = {
        name: Scope(name, task, spec.components[task.component_ref.name])
        for name, task in spec.root.dag.tasks.items()
        if task.component_ref.name in spec.components and spec.components[task.component_ref.name].HasField("dag")
    }
    for scope in scopes.values():
        _check_scope(scope)
    return scopes


def _check_scope(scope: Scope) -> None:
    if scope.task.WhichOneof("iterator"):
        raise EmulatorLimitError(f"{scope.name} is a loop", "loops")
    if scope.task.trigger_policy.condition or scope.task.inputs.artifacts or scope.task.dependent_tasks:
        raise EmulatorLimitError(
            f"{scope.name} is a pipeline inside the pipeline with a condition, artifacts, or tasks before it",
            "such sub-DAGs",
        )
    if not any(not is_exit_task(task) for task in scope.component.dag.tasks.values()):
        problem = f"DAG {scope.task.component_ref.name} must contain one or more non-exit tasks"
        raise RefusedError(problem, errors.ARGO_DAG)


def list_inner_tasks(spec: Any) -> dict[str, Any]:
    """The tasks of all inner pipelines, by name."""
    return {name: task for scope in list_scopes(spec).values() for name, task in scope.component.dag.tasks.items()}


def list_tasks(spec: Any) -> dict[str, Any]:
    """The tasks with executors, of the root and of its inner pipelines.

    Raises:
        EmulatorLimitError: Two of them have one name, or an inner pipeline holds another one.
    """
    left_out = {*list_scopes(spec), *list_loose_tasks(spec)}
    scopes, tasks = list_scopes(spec), {n: task for n, task in spec.root.dag.tasks.items() if n not in left_out}
    for scope in scopes.values():
        for name, task in scope.component.dag.tasks.items():
            if name in tasks:
                raise EmulatorLimitError(f"two tasks are called {name}", "tasks of one name in several DAGs")
            tasks[name] = task
    return tasks


def list_task_scopes(spec: Any) -> dict[str, Scope]:
    """The inner pipeline of each task that belongs to one."""
    return {name: scope for scope in list_scopes(spec).values() for name in scope.component.dag.tasks}


def list_exit_tasks(spec: Any) -> frozenset[str]:
    """The exit tasks of the root.

    Raises:
        EmulatorLimitError: One is the exit of a single container, or of several tasks.
    """
    scopes, loose = list_scopes(spec), list_loose_tasks(spec)
    exits = {n: task for n, task in spec.root.dag.tasks.items() if is_exit_task(task) and n not in loose}
    for name, task in exits.items():
        if len(task.dependent_tasks) != 1 or task.dependent_tasks[0] not in scopes:
            raise EmulatorLimitError(f"{name} is the exit of {', '.join(task.dependent_tasks)}", "such exit tasks")
    inner = [
        name for scope in scopes.values() for name, task in scope.component.dag.tasks.items() if is_exit_task(task)
    ]
    if inner:
        raise EmulatorLimitError(f"{inner[0]} is an exit task of an inner pipeline", "such exit tasks")
    return frozenset(exits)


def list_dags(spec: Any) -> Iterator[Mapping[str, Any]]:
    """The tasks with executors of each DAG: a task depends on tasks of its own DAG only.

    Raises:
        EmulatorLimitError: A task that is no exit task comes after an inner pipeline.
    """
    scopes, left_out = list_scopes(spec), {*list_scopes(spec), *list_exit_tasks(spec), *list_loose_tasks(spec)}
    yield {name: task for name, task in spec.root.dag.tasks.items() if name not in left_out}
    for scope in scopes.values():
        yield scope.component.dag.tasks


def find_outer_parameter(scope: Scope, name: str) -> Any:
    """What the inner pipeline's task gives for one of its own parameters: an `InputParameterSpec`.

    Raises:
        TaskFailedError: It gives none.
    """
    if name not in scope.task.inputs.parameters:
        raise TaskFailedError(f"{scope.name}: parent DAG does not have input parameter {name}", errors.RESOLVE)
    return scope.task.inputs.parameters[name]
