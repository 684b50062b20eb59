"""Adds the page's outputs and the last step to a compiled specification, and wraps the pipeline for its exit handler.

The backend knows one step that runs however others end: a task with the strategy `ALL_UPSTREAM_TASKS_COMPLETED` becomes
the exit hook of each task that it depends on (`argocompiler/dag.go`). To run once, after all others, it depends on one
task: a pipeline inside the pipeline that holds them. kfp's `ExitHandler` and TFX's `set_exit_handler` do the same. A
hook that fails does not fail the run (Argo's `assessDAGPhase`).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from taxiway.pipeline.kubeflow.page.outputs import FINAL_NODE, PageFacts, define_outputs, list_page_outputs
from taxiway.pipeline.nodes import NODES

INNER = "pipeline"
"""The task, and its component, that hold all tasks but the last step."""
FINAL_COMMAND = ("python", "-m", "taxiway.pipeline.kubeflow.page.final_step")
ALL_ENDED = "ALL_UPSTREAM_TASKS_COMPLETED"
Specification = dict[str, Any]


def add_final_step(spec: Specification, image: str) -> None:
    """Adds the last step as one more task of the root; `wrap_tasks` puts the others before it.

    Args:
        spec: Specification with all tasks in its root.
        image: Image of the step.
    """
    nodes, label = [node for node in NODES if node in spec["root"]["dag"]["tasks"]], f"{FINAL_NODE}_executor"
    spec["components"][FINAL_NODE] = {"executorLabel": label}
    arguments = ["--json_serialized_invocation_args", "{{$}}", "--nodes", json.dumps(nodes)]
    container = {"image": image, "command": list(FINAL_COMMAND), "args": arguments}
    spec["deploymentSpec"]["executors"][label] = {"container": container}
    spec["root"]["dag"]["tasks"][FINAL_NODE] = {
        "taskInfo": {"name": FINAL_NODE},
        "componentRef": {"name": FINAL_NODE},
        "triggerPolicy": {"strategy": ALL_ENDED},
    }


def add_page_outputs(spec: Specification, facts: PageFacts, facts_argument: str) -> None:
    """Adds to each node the outputs that the page shows, and what the node must know to write them."""
    tasks = spec["root"]["dag"]["tasks"]
    for node, task in [(node, tasks[node]) for node in (*NODES, FINAL_NODE) if node in tasks]:
        component = spec["components"][task["componentRef"]["name"]]
        outputs = component.setdefault("outputDefinitions", {}).setdefault("artifacts", {})
        outputs.update(define_outputs(list_page_outputs(node, facts.task)))
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]].get("container")
        if container is not None:
            known = {name: value for name, value in asdict(facts).items() if value}
            # Kubernetes makes "$$" in arguments "$", and Argo fills in "{{".
            text = json.dumps(known, sort_keys=True).replace("$", "\\u0024").replace("{{", "{\\u007b")
            container["args"] = [facts_argument, text, *container["args"]]


def wrap_tasks(spec: Specification) -> Specification:
    """A copy in which the last step is an exit handler; the specification itself where it has none, or one already.

    Args:
        spec: Specification with all tasks in its root.
    """
    if FINAL_NODE not in spec["root"]["dag"]["tasks"] or INNER in spec["root"]["dag"]["tasks"]:
        return spec
    wrapped = copy.deepcopy(spec)
    tasks = wrapped["root"]["dag"]["tasks"]
    final = {**tasks.pop(FINAL_NODE), "dependentTasks": [INNER]}
    declared = wrapped["root"].get("inputDefinitions", {}).get("parameters", {})
    kinds = {name: {"parameterType": each["parameterType"]} for name, each in declared.items()}
    wrapped["components"][INNER] = {"inputDefinitions": {"parameters": kinds}, "dag": {"tasks": tasks}}
    given = {name: {"componentInputParameter": name} for name in declared}
    inner = {"taskInfo": {"name": INNER}, "componentRef": {"name": INNER}, "inputs": {"parameters": given}}
    wrapped["root"]["dag"]["tasks"] = {INNER: inner, FINAL_NODE: final}
    return wrapped


def find_tasks(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The tasks of the pipeline's nodes in a compiled file, whether it has a last step or not."""
    root = spec.get("root", {}).get("dag", {}).get("tasks", {})
    inner = spec.get("components", {}).get(INNER, {}).get("dag", {}).get("tasks", {})
    return {**{name: task for name, task in root.items() if name != INNER}, **inner}
