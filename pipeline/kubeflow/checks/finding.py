"""What a check says, and what checks look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, Literal

from taxiway.components.config_section import Section
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline
from taxiway.pipeline.resources import NodeResources

BACKEND = "kubeflow/pipelines backend/src"

Level = Literal["refused", "ignored", "note"]


class TargetFinding(Section):
    """What the target would do with one node, or with the whole pipeline."""

    node: str = ""
    """Empty: the pipeline."""
    level: Level
    """`refused`: it cannot work; `ignored`: it runs, without what was asked; `note`: what to know."""
    problem: str
    remedy: str = ""
    source: str = ""
    """Where the target's own code says so."""

    def __str__(self) -> str:
        where = f"{self.node}: " if self.node else ""
        cited = f" [{self.source}]" if self.source else ""
        return f"{where}{self.problem} {self.remedy}".rstrip() + cited


Check = Callable[[CompiledPipeline], Iterator[TargetFinding]]


def make_refusal(node: str, problem: str, remedy: str = "", source: str = "") -> TargetFinding:
    """A finding of what cannot work."""
    return TargetFinding(node=node, level="refused", problem=problem, remedy=remedy, source=source)


def make_note(node: str, problem: str, remedy: str = "") -> TargetFinding:
    """A finding of what to know."""
    return TargetFinding(node=node, level="note", problem=problem, remedy=remedy)


def list_tasks(compiled: CompiledPipeline) -> dict[str, dict[str, Any]]:
    """The tasks by node, sorted."""
    return dict(sorted(compiled.spec["root"]["dag"]["tasks"].items()))


def find_executor(compiled: CompiledPipeline, task: dict[str, Any]) -> dict[str, Any]:
    """The executor of a task."""
    label = compiled.spec["components"][task["componentRef"]["name"]]["executorLabel"]
    return dict(compiled.spec["deploymentSpec"]["executors"][label])


def list_executors(compiled: CompiledPipeline) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Node, task and executor, sorted by node."""
    for node, task in list_tasks(compiled).items():
        yield node, task, find_executor(compiled, task)


def list_resources(compiled: CompiledPipeline) -> Iterator[tuple[str, NodeResources]]:
    """What each node is given of the cluster."""
    for node in list_tasks(compiled):
        yield node, compiled.config.resources.kubeflow.resolve_resources(node)


def is_inside(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path is in one of these folders."""
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)
