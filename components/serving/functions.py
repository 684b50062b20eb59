"""Which functions a graph calls, followed through every way of naming one; what cannot be followed is refused.

The rules on ops ask where a function runs. Names of functions in attributes are the calls that can be seen. TensorFlow
knows more ways: an op with a function's name, a function handed to a function as an attribute, and Grappler, which puts
a function in another one's place where both say that they implement the same.

Imports nothing of TensorFlow: it works on the protos that it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

_SWAPPED = "api_implements"
_OF_FUNCTIONS = ("func", "list(func)")


def called_functions(nodes: Iterable[Any]) -> set[str]:
    """Names of the functions that nodes name in any attribute."""
    return {each.name for node in nodes for each in _named(node) if each.name}


def check(library: Any, op_names: Collection[str], file_ops: Collection[str]) -> Iterator[str]:
    """What of a graph's functions could run where nobody sees it, one sentence each.

    Args:
        library: A `FunctionDefLibrary`.
        op_names: Ops that nodes may name.
        file_ops: Those of them whose place matters: they read or write files.
    """
    functions = {function.signature.name: function for function in library.function}
    if len(functions) < len(library.function):
        yield "two functions have one name"
    touching = _touching(functions, file_ops)
    for name, function in functions.items():
        if name in op_names:
            yield f"the function {name} has the name of an op: what looks like the op would run the function"
        if any(attribute.type in _OF_FUNCTIONS for attribute in function.signature.attr):
            yield f"the function {name} is told by an attribute which function to call"
        if _SWAPPED in function.attr and name in touching:
            yield f"the function {name} touches files, and {_SWAPPED} lets it stand for another one"


def check_calls(where: str, nodes: Iterable[Any]) -> Iterator[str]:
    """Calls that hand a function to a function, one sentence each."""
    for node in nodes:
        inner = (value for each in _named(node) for value in each.attr.values())
        if any(value.func.name or value.list.func or value.placeholder for value in inner):
            yield f"{node.op} ({node.name} in {where}) hands a function to a function"


def _named(node: Any) -> Iterator[Any]:
    """The `NameAttrList`s in a node's attributes."""
    for attribute in node.attr.values():
        yield attribute.func
        yield from attribute.list.func


def _touching(functions: dict[str, Any], file_ops: Collection[str]) -> set[str]:
    """Functions that hold one of the ops, or call one that does."""
    callers: dict[str, list[str]] = {}
    for name, function in functions.items():
        for called in called_functions(function.node_def):
            callers.setdefault(called, []).append(name)
    pending = [name for name, f in functions.items() if any(node.op in file_ops for node in f.node_def)]
    found = set[str]()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += callers.get(name, [])
    return found
