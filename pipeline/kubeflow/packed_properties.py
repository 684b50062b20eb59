"""Long values of a node's parameters: they travel compressed among the container's arguments.

A parameter is written into the specification of the whole pipeline, which the backend's root driver gets as one
argument, and into the executor input, which the driver, the launcher and the component's process get as one argument
each. Linux limits each of them. So a long value is taken out of both: the parameter keeps a pointer, its digest, and
the content goes into the arguments of this one container, compressed, in pieces. The entry point puts it back before
the component sees it. The digest keeps the backend's cache key as exact as the value was.

What Kubernetes or Argo would rewrite in an argument goes the same way, whatever its length: Kubernetes turns `$$` into
`$` and fills in `$(NAME)`, Argo fills in `{{name}}`. Nothing heavy is imported here.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import lzma
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taxiway.components.errors import UsageError
from taxiway.pipeline.kubeflow.page.specification import find_tasks

PACKED = "--packed_properties"
"""The argument, given once a piece."""
LONGEST_VALUE_BYTES = 4096
"""Of a parameter that stays as it is. All of a pipeline together must fit into one argument."""
PIECE_CHARACTERS = 32_768
POINTER = "taxiway-packed:sha256:"
REWRITTEN = re.compile(r"\$\$|\$\(|\{\{")
"""What Kubernetes or Argo would replace in an argument."""
_DRIVER_PLACEHOLDER = re.compile(r"\{\{\$\.\w+\}\}")


def pack_task(task: dict[str, Any]) -> list[str]:
    """Takes the values that must not be parameters out of a task of the specification.

    Args:
        task: Task; its constants are replaced by pointers.

    Returns:
        Arguments for the task's container; none where nothing had to be packed.
    """
    packed = {name: text for name, text in _list_texts(task) if must_be_packed(text)}
    for name, text in packed.items():
        task["inputs"]["parameters"][name] = {"runtimeValue": {"constant": make_pointer(text)}}
    return write_arguments(packed)


def must_be_packed(text: str) -> bool:
    """Whether a value is too long for a parameter, or would be rewritten on its way.

    What the driver itself replaces, such as the run's id, is left to it.
    """
    if len(text.encode()) > LONGEST_VALUE_BYTES:
        return True
    return bool(REWRITTEN.search(text)) and not _DRIVER_PLACEHOLDER.fullmatch(text)


def make_pointer(text: str) -> str:
    """What stands for a value among the parameters."""
    return POINTER + hashlib.sha256(text.encode()).hexdigest()


def write_arguments(values: Mapping[str, str]) -> list[str]:
    """The values as arguments, the same for the same values; none for no values."""
    if not values:
        return []
    content = json.dumps(values, sort_keys=True, ensure_ascii=False).encode()
    text = base64.b64encode(lzma.compress(content, preset=6)).decode("ascii")
    pieces = [text[start : start + PIECE_CHARACTERS] for start in range(0, len(text), PIECE_CHARACTERS)]
    return [argument for piece in pieces for argument in (PACKED, piece)]


def read_arguments(pieces: Sequence[str]) -> dict[str, str]:
    """The values of `write_arguments`, by name.

    Args:
        pieces: What was given with `PACKED`, in order.

    Raises:
        UsageError: They are damaged.
    """
    if not pieces:
        return {}
    try:
        values = json.loads(lzma.decompress(base64.b64decode("".join(pieces), validate=True)))
    except (ValueError, lzma.LZMAError) as error:
        raise UsageError(f"{PACKED} cannot be read: {error}", "Compile the pipeline again.") from error
    return dict(values)


def find_pieces(arguments: Sequence[str]) -> list[str]:
    """What was given with `PACKED` among the arguments of a program, in order."""
    return [value for option, value in itertools.pairwise(arguments) if option == PACKED]


def restore_values(properties: Mapping[str, Any], packed: Mapping[str, str]) -> dict[str, Any]:
    """Properties with the packed values in the places of their pointers.

    Args:
        properties: Execution properties as the backend passes them.
        packed: Values by name, of `read_arguments`.

    Raises:
        UsageError: A pointer has no value, or another one: the arguments are of another compilation.
    """
    return {name: _restore_value(name, value, packed) for name, value in properties.items()}


def _restore_value(name: str, value: Any, packed: Mapping[str, str]) -> Any:
    if not isinstance(value, str) or not value.startswith(POINTER):
        return value
    if name not in packed or make_pointer(packed[name]) != value:
        problem = f"The value of {name} is not among the container's arguments: {value} names none of them."
        raise UsageError(problem, "Compile the pipeline again, and submit it with an image of the same version.")
    return packed[name]


def read_constants(spec: Mapping[str, Any], node: str) -> dict[str, Any]:
    """The constants of a node in a compiled specification, packed ones included; empty where it has no such node."""
    task = find_tasks(spec).get(node)
    if task is None:
        return {}
    parameters = task.get("inputs", {}).get("parameters", {})
    constants = {n: v["runtimeValue"].get("constant") for n, v in parameters.items() if "runtimeValue" in v}
    return restore_values(constants, read_arguments(_list_pieces(spec, task)))


def _list_pieces(spec: Mapping[str, Any], task: Mapping[str, Any]) -> list[str]:
    component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"), {})
    executor = spec.get("deploymentSpec", {}).get("executors", {}).get(component.get("executorLabel"), {})
    return find_pieces(executor.get("container", {}).get("args", []))


def _list_texts(task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in task.get("inputs", {}).get("parameters", {}).items():
        constant = value.get("runtimeValue", {}).get("constant")
        if isinstance(constant, str):
            yield name, constant
