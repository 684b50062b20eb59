"""Sizes of the arguments with which Kubeflow starts the processes of each step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from taxiway.pipeline.kubeflow.artifact_types import read_title
from taxiway.pipeline.kubeflow.packed_properties import read_constants, write_arguments

MAX_ARGUMENT_BYTES = 131_072
"""`MAX_ARG_STRLEN` of Linux, with the zero that ends an argument: a longer one is "Argument list too long"."""
ARTIFACT_BYTES = 1024
"""Reserved for each artifact of an executor input, whose address and properties are not known before the run. Those of
the taxi pipeline take 460 to 630 bytes each."""
EXAMPLES_BYTES = 4608
"""Reserved for examples: their three texts that grow with columns and classes, each as long as a property may be
(`taxiway.components.long_properties`), with what escaping adds."""
_ESCAPED = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}
PLACEHOLDER = "{{$}}"
"""The launcher puts the executor input here."""


@dataclass(frozen=True)
class LongArgument:
    """An argument that no process can be started with.

    Attributes:
        node: Node whose step or driver gets it; empty: the driver of the whole pipeline.
        size: Bytes, with the zero at the end.
        parameter: Largest parameter in it, such as `SchemaGen.edited`; empty where it holds none.
        parameter_size: Bytes of that parameter's value as it travels: compressed, where it is packed.
        value_size: Bytes of the value itself.
    """

    node: str
    size: int
    parameter: str
    parameter_size: int
    value_size: int


def find_long_arguments(spec: dict[str, Any]) -> Iterator[LongArgument]:
    """The longest argument of each node, and of the pipeline's driver, where it is too long.

    Args:
        spec: Specification of the pipeline, as JSON values.
    """
    values = {node: _list_values(spec, task) for node, task in spec["root"]["dag"]["tasks"].items()}
    for node, size in _measure_arguments(spec, values).items():
        if size > MAX_ARGUMENT_BYTES:
            yield LongArgument(node, size, *_find_largest(spec, {node: values[node]} if node else values))


def measure_longest(spec: dict[str, Any]) -> int:
    """Bytes of the longest argument of any node, and of the pipeline's driver."""
    values = {node: _list_values(spec, task) for node, task in spec["root"]["dag"]["tasks"].items()}
    return max(_measure_arguments(spec, values).values())


def _measure_arguments(spec: dict[str, Any], values: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Bytes of the longest argument of each node, in the order of their names; last, by an empty name, the driver's."""
    sizes = {
        node: max(map(_measure_text, _list_arguments(spec, task, values[node])))
        for node, task in sorted(spec["root"]["dag"]["tasks"].items())
    }
    # `--component` of the root driver has every task of the pipeline.
    return {**sizes, "": _measure_text(_write_json(spec["root"]))}


def _list_arguments(spec: dict[str, Any], task: dict[str, Any], values: dict[str, Any]) -> Iterator[str]:
    """What the launcher, the component's process and the driver are started with (`v2/driver`, `argocompiler`)."""
    component = spec["components"][task["componentRef"]["name"]]
    executor = spec["deploymentSpec"]["executors"][component["executorLabel"]].get("container", {})
    executor_input = _write_json({"inputs": {"parameterValues": values}}) + " " * _reserve_artifacts(component)
    yield executor_input
    yield from map(_write_json, (component, task, executor))
    for argument in (*executor.get("command", ()), *executor.get("args", ())):
        yield argument.replace(PLACEHOLDER, executor_input)


def _reserve_artifacts(component: dict[str, Any]) -> int:
    """Bytes for the artifacts of a component's executor input."""
    artifacts = [
        artifact["artifactType"]
        for side in ("inputDefinitions", "outputDefinitions")
        for artifact in component.get(side, {}).get("artifacts", {}).values()
    ]
    return sum(EXAMPLES_BYTES if read_title(kind) == "tfx.Examples" else ARTIFACT_BYTES for kind in artifacts)


def _list_values(spec: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    """Values of a task's parameters, those of the run with their defaults."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return {
        name: value["runtimeValue"].get("constant", "")
        if "runtimeValue" in value
        else declared.get(value.get("componentInputParameter"), {}).get("defaultValue", "")
        for name, value in task.get("inputs", {}).get("parameters", {}).items()
    }


def _find_largest(spec: dict[str, Any], values: dict[str, dict[str, Any]]) -> tuple[str, int, int]:
    """The largest parameter of these nodes, its size as it travels, and the size of its value."""
    found = [
        (f"{node}.{name}", *_measure_value(value, read_constants(spec, node).get(name, value)))
        for node, parameters in values.items()
        for name, value in parameters.items()
    ]
    return max(found, key=lambda item: item[1], default=("", 0, 0))


def _measure_value(parameter: Any, value: Any) -> tuple[int, int]:
    size = len(_write_json(value).encode())
    return (size if parameter == value else sum(map(len, write_arguments({"": value})))), size


def _measure_text(text: str) -> int:
    return len(text.encode()) + 1


def _write_json(value: Any) -> str:
    """As the backend writes it at its longest: Go's `encoding/json` escapes three signs (`stablyMarshalJSON`)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPED)
