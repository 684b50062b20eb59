"""Checks of the specification: what the backend's own compiler refuses or leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from taxiway.components.errors import suggest_matches
from taxiway.pipeline.kubeflow.artifact_types import read_title
from taxiway.pipeline.kubeflow.checks.finding import BACKEND, TargetFinding, list_executors, list_tasks, make_refusal
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline

ARTIFACT_TITLE = re.compile(r"[a-z][a-z0-9-_]{2,20}\.[A-Z][a-zA-Z0-9-_]{2,49}")
ARGO_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
PIPELINE_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,126}[a-z0-9])?")
MAX_ARGO_NAME = 128 - len("-driver")
CONDITION_KEY = re.compile(r"inputs\.artifacts\['([^']+)'\]")


def check_schema_version(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """The open-source backend takes one version of the schema."""
    version = compiled.spec.get("schemaVersion")
    if version != "2.1.0":
        source = f"{BACKEND}/apiserver/template/v2_template.go"
        yield make_refusal("", f"The schema version is {version!r}.", "Only 2.1.0 is taken.", source)


def check_pipeline_name(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """Lower case, digits and dashes."""
    name = compiled.spec["pipelineInfo"]["name"]
    if not PIPELINE_NAME.fullmatch(name):
        source = f"{BACKEND}/apiserver/template/v2_template.go"
        yield make_refusal("", f"The name {name!r} is not of a-z, 0-9 and dashes.", "Change `name`.", source)


def check_task_names(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """A task's name becomes the name of a task in an Argo workflow."""
    for node in list_tasks(compiled):
        if not ARGO_NAME.fullmatch(node) or len(node) > MAX_ARGO_NAME:
            remedy = f"Letters, digits and dashes, at most {MAX_ARGO_NAME}."
            yield make_refusal(
                node, "Argo takes no task of this name.", remedy, f"{BACKEND}/v2/compiler/argocompiler/dag.go"
            )


def check_resolvers(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """The open-source backend runs no resolver, such as that of `LatestBlessedModelStrategy`."""
    for node, _, executor in list_executors(compiled):
        if "resolver" in executor and compiled.target == "kfp":
            source = f"{BACKEND}/v2/compiler/visitor.go, v2/compiler/argocompiler/dag.go"
            yield make_refusal(
                node, "A resolver has no executor there.", "Read what it resolves in a component.", source
            )


def check_importer_conditions(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """An importer's only pod is its driver: nothing could skip it."""
    for node, task, executor in list_executors(compiled):
        if "importer" in executor and task.get("triggerPolicy", {}).get("condition") and compiled.target == "kfp":
            source = f"{BACKEND}/v2/compiler/argocompiler/dag.go"
            yield make_refusal(node, "An importer cannot be conditional.", "Move it out of the condition.", source)


def check_lifecycle(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """File-based example generators resolve spans and fingerprints in a hook that only Vertex runs."""
    for node, _, executor in list_executors(compiled):
        if "lifecycle" in executor.get("container", {}) and compiled.target == "kfp":
            yield TargetFinding(
                node=node,
                level="ignored",
                problem="preCacheCheck never runs: no span is resolved and changed data is served from the cache.",
                remedy="Use a component that reads its files itself, such as TabularExampleGen.",
                source=f"{BACKEND}/v2/driver/container.go",
            )


def check_artifact_types(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """A type's name is the title of its schema."""
    for node, task in list_tasks(compiled).items():
        component = compiled.spec["components"][task["componentRef"]["name"]]
        for side in ("inputDefinitions", "outputDefinitions"):
            for name, artifact in component.get(side, {}).get("artifacts", {}).items():
                title = read_title(artifact["artifactType"])
                if not ARTIFACT_TITLE.fullmatch(title):
                    yield make_refusal(node, f"{name} is of type {title!r}.", "Types are named `namespace.Name`.")


def check_conditions(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """A condition sees the node's own inputs and nothing else."""
    for node, task in list_tasks(compiled).items():
        for key in CONDITION_KEY.findall(task.get("triggerPolicy", {}).get("condition", "")):
            if key not in task.get("inputs", {}).get("artifacts", {}):
                source = f"{BACKEND}/v2/expression/expression.go"
                yield make_refusal(node, f"Its condition reads {key!r}, which is no input of it.", source=source)


def check_node_names(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """Resources for a node that the pipeline does not have."""
    node_names = list_tasks(compiled)
    for node in compiled.config.resources.kubeflow.components:
        if node not in node_names:
            remedy = suggest_matches(node, node_names)
            yield make_refusal("", f"resources.kubeflow.components names {node!r}, which is no node.", remedy)
