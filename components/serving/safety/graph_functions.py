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


def find_called_functions(nodes: Iterable[Any]) -> set[str]:
    """Names of the functions that nodes name in any attribute."""
    return {each.name for node in nodes for each in _list_function_attributes(node) if each.name}


def map_callers(graph_def: Any) -> dict[str, list[tuple[Any, Any]]]:
    """Who calls a function, by its name: the calling function (None for the graph itself) and the node."""
    calls: dict[str, list[tuple[Any, Any]]] = {}
    bodies = [(None, graph_def.node), *((function, function.node_def) for function in graph_def.library.function)]
    for owner, nodes in bodies:
        for node in nodes:
            for name in find_called_functions([node]):
                calls.setdefault(name, []).append((owner, node))
    return calls


def check_functions(graph_def: Any, op_names: Collection[str], file_ops: Collection[str]) -> Iterator[str]:
    """Functions of a graph that could run without being listed, one sentence each.

    Args:
        graph_def: A `GraphDef`.
        op_names: Ops that nodes may name.
        file_ops: Those of them whose place matters: they read or write files.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    if len(functions) < len(graph_def.library.function):
        yield "two functions have one name"
    touching = _find_file_functions(graph_def, file_ops)
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
        inner = (value for each in _list_function_attributes(node) for value in each.attr.values())
        if any(value.func.name or value.list.func or value.placeholder for value in inner):
            yield f"{node.op} ({node.name} in {where}) hands a function to a function"


def _list_function_attributes(node: Any) -> Iterator[Any]:
    """The `NameAttrList`s in a node's attributes."""
    for attribute in node.attr.values():
        yield attribute.func
        yield from attribute.list.func


def _find_file_functions(graph_def: Any, file_ops: Collection[str]) -> set[str]:
    """Functions that hold one of the ops, or call one that does."""
    callers, functions = map_callers(graph_def), graph_def.library.function
    pending = [f.signature.name for f in functions if any(node.op in file_ops for node in f.node_def)]
    touching = set[str]()
    while pending:
        name = pending.pop()
        if name not in touching:
            touching.add(name)
            pending += [owner.signature.name for owner, _ in callers.get(name, []) if owner is not None]
    return touching
