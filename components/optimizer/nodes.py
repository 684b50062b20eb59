"""Nodes of graphs: found, counted, made, replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import tensorflow as tf


def nodes(graph_def: Any) -> Iterable[Any]:
    """All nodes of a graph, those of its functions included."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def count_ops(graph_def: Any) -> dict[str, int]:
    """How often each operation occurs, functions included."""
    counts: dict[str, int] = {}
    for node in nodes(graph_def):
        counts[node.op] = counts.get(node.op, 0) + 1
    return counts


def reached(graph_def: Any, names: list[str]) -> list[Any]:
    """The nodes from which the named ones can be reached, each once."""
    by_name = {node.name: node for node in graph_def.node}
    found: dict[str, Any] = {}
    while names:
        name = names.pop()
        if name not in found:
            found[name] = by_name[name]
            names += [input_name(text) for text in by_name[name].input]
    return list(found.values())


def input_name(text: str) -> str:
    return text.lstrip("^").split(":")[0]


def constants(graph_def: Any, dtype: tf.DType, min_elements: int = 0) -> list[Any]:
    """The Const nodes of a dtype with at least so many elements, functions included."""
    return [
        node
        for node in nodes(graph_def)
        if node.op == "Const" and node.attr["dtype"].type == dtype.as_datatype_enum and elements(node) >= min_elements
    ]


def elements(node: Any) -> int:
    """Elements of a Const node's tensor."""
    return prod(dim.size for dim in node.attr["value"].tensor.tensor_shape.dim)


def rewrite_constants(
    graph_def: Any, dtype: tf.DType, min_elements: int, rewrite: Callable[[Any], list[Any] | None]
) -> tuple[Any, list[str]]:
    """A copy of a graph in which chosen constants are replaced.

    Args:
        graph_def: The graph; functions are left alone, so optimize first.
        dtype: Constants of this dtype are offered.
        min_elements: And with at least so many elements.
        rewrite: From a Const node to the nodes that replace it, the last of them under the old name; None keeps it.

    Returns:
        The new graph, and the names of the constants that were replaced.
    """
    chosen = {node.name for node in constants(graph_def, dtype, min_elements)}
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    replaced: list[str] = []
    for node in graph_def.node:
        new = rewrite(node) if node.name in chosen else None
        result.node.extend([node] if new is None else new)
        if new is not None:
            replaced.append(node.name)
    return result, replaced


def const_node(name: str, value: Any, dtype: tf.DType) -> Any:
    """A Const node."""
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype=dtype))
    return node


def identity_node(name: str, source: str, dtype: tf.DType) -> Any:
    """An Identity node."""
    node = tf.compat.v1.NodeDef(name=name, op="Identity", input=[source])
    node.attr["T"].type = dtype.as_datatype_enum
    return node


def cast_node(name: str, source: str, of: tf.DType, to: tf.DType) -> Any:
    """A Cast node."""
    node = tf.compat.v1.NodeDef(name=name, op="Cast", input=[source])
    node.attr["SrcT"].type = of.as_datatype_enum
    node.attr["DstT"].type = to.as_datatype_enum
    return node
