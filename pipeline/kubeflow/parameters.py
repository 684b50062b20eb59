"""What changes from run to run without compiling again: the run's parameters, and how a node takes them in.

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
        name: Name that a user gives when submitting.
        type: Type in the pipeline's specification.
        nodes: Nodes that take it; empty: every node.
        setting: Execution property that it changes; empty: the entry point's own.
        keys: Path in that property's JSON.
    """

    name: str
    type: ParameterType
    nodes: tuple[str, ...] = ()
    setting: str = ""
    keys: tuple[str, ...] = ()

    @property
    def input(self) -> str:
        """Its name among a node's inputs."""
        return PREFIX + self.name


ROOT = RunParameter("root", "STRING")
SPAN = RunParameter("span", "STRING", ("DataDigest", "ExampleGen"), "data", ("spans",))
SCHEDULED_TIME = RunParameter("scheduled_time", "STRING", ("DataDigest",))
"""`[[ScheduledTime]]` in a recurring run: where spans are dates, none after it is read. Empty: the newest are."""
DATA_FINGERPRINT = RunParameter("data_fingerprint", "STRING", ("ExampleGen",))
"""Digest of the data's content. No parameter of the run: the step DataDigest hands it to ExampleGen, for the backend's
cache. The node computes the digest that it records itself."""

RUN_PARAMETERS = (
    ROOT,
    RunParameter("data_path", "STRING", ("DataDigest", "ExampleGen"), "data", ("path",)),
    SPAN,
    SCHEDULED_TIME,
    RunParameter("max_steps", "NUMBER_INTEGER", ("Tuner", "Trainer"), "custom_config", ("training", "max_steps")),
    RunParameter("epochs", "NUMBER_DOUBLE", ("Tuner", "Trainer"), "custom_config", ("training", "epochs")),
)


def find_compiled_value(parameter: RunParameter, properties: Mapping[str, Any]) -> Value | None:
    """The value that the pipeline was compiled with; None where the node has no such setting."""
    value: Any = json.loads(properties[parameter.setting]) if parameter.setting in properties else None
    for key in parameter.keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def apply_parameters(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A node's execution properties with the run's parameters set in them, and the parameters themselves taken out.

    Args:
        properties: Execution properties as the backend passes them: numbers are floats. A parameter that is null is
            one that was not given: the compiled value holds.

    Returns:
        The component's own properties.
    """
    given = {p: properties[p.input] for p in RUN_PARAMETERS if properties.get(p.input) is not None}
    own = {name: value for name, value in properties.items() if not name.startswith(PREFIX)}
    for parameter, value in given.items():
        if parameter.setting in own:
            typed = int(value) if parameter.type == "NUMBER_INTEGER" else value
            own[parameter.setting] = _set_value(own[parameter.setting], parameter.keys, typed)
    root = str(given.get(ROOT, "")).rstrip("/")
    if not root:
        return own
    return {name: v.replace(ROOT_TOKEN, root) if isinstance(v, str) else v for name, v in own.items()}


def select_run_parameters(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the run among a node's inputs, by the names under which they were given."""
    return {name.removeprefix(PREFIX): value for name, value in properties.items() if name.startswith(PREFIX)}


def _set_value(section: str, keys: tuple[str, ...], value: Value) -> str:
    content = inner = json.loads(section)
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return json.dumps(content)
