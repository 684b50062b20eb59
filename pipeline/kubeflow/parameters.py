"""What changes from run to run without compiling anew: the run's parameters, and how a node takes them in.

The pipeline is compiled from whole sections of the configuration (JSON in execution properties). A parameter of the run
goes to its node as one more input, and the entry point sets it in the section before the executor sees it. So no
component knows of Kubeflow, and the backend's cache key holds the parameter's value. Nothing heavy is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ROOT_TOKEN = "/@taxiway-root"
"""Stands in the compiled pipeline for the folder that the parameter `root` names."""
PREFIX = "taxiway_"
"""Before the parameter's name among a node's inputs, apart from the component's own properties."""

ParameterType = Literal["STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE"]
Value = str | float | int


@dataclass(frozen=True)
class RunParameter:
    """One parameter of the pipeline.

    Attributes:
        name: As a user gives it when submitting.
        type: As the pipeline's specification calls it.
        node: The node that takes it; empty: every node.
        setting: The execution property that it changes; empty: the entry point's own.
        keys: Where in that property's JSON.
    """

    name: str
    type: ParameterType
    node: str = ""
    setting: str = ""
    keys: tuple[str, ...] = ()

    @property
    def input(self) -> str:
        """Its name among a node's inputs."""
        return PREFIX + self.name


ROOT = RunParameter("root", "STRING")
DATA_FINGERPRINT = RunParameter("data_fingerprint", "STRING", "ExampleGen")
"""Digest of the data's content. It has no effect but on the backend's cache: the same files under another digest are
read again. The node computes the digest that it records itself."""

RUN_PARAMETERS = (
    ROOT,
    RunParameter("data_path", "STRING", "ExampleGen", "data", ("path",)),
    RunParameter("span", "STRING", "ExampleGen", "data", ("spans",)),
    DATA_FINGERPRINT,
    RunParameter("max_steps", "NUMBER_INTEGER", "Trainer", "custom_config", ("training", "max_steps")),
    RunParameter("epochs", "NUMBER_DOUBLE", "Trainer", "custom_config", ("training", "epochs")),
)


def compiled_value(parameter: RunParameter, properties: Mapping[str, Any]) -> Value | None:
    """The value that the pipeline was compiled with; None where the node has no such setting."""
    found: Any = json.loads(properties[parameter.setting]) if parameter.setting in properties else None
    for key in parameter.keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def apply(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A node's execution properties with the run's parameters set in them, and the parameters themselves taken out.

    Args:
        properties: As the backend hands them over: numbers are floats.

    Returns:
        The component's own properties.
    """
    given = {p: properties[p.input] for p in RUN_PARAMETERS if p.input in properties}
    own = {name: value for name, value in properties.items() if not name.startswith(PREFIX)}
    for parameter, value in given.items():
        if parameter.setting in own:
            typed = int(value) if parameter.type == "NUMBER_INTEGER" else value
            own[parameter.setting] = _with(own[parameter.setting], parameter.keys, typed)
    root = str(given.get(ROOT, "")).rstrip("/")
    if not root:
        return own
    return {name: v.replace(ROOT_TOKEN, root) if isinstance(v, str) else v for name, v in own.items()}


def of_the_run(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the run among a node's inputs, by the names under which they were given."""
    return {name.removeprefix(PREFIX): value for name, value in properties.items() if name.startswith(PREFIX)}


def _with(section: str, keys: tuple[str, ...], value: Value) -> str:
    content = inner = json.loads(section)
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return json.dumps(content)
