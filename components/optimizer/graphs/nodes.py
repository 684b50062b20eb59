"""Finds, counts, makes and replaces nodes of graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import tensorflow as tf


def iterate_nodes(graph_def: Any) -> Iterable[Any]:
    """All nodes of a graph, those of its functions included."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def has_loops(graph_def: Any) -> bool:
    """Whether a flat graph has loops: an operation in one takes nothing from outside but through Enter."""
    return any(node.op == "Enter" for node in graph_def.node)


def count_ops(graph_def: Any) -> dict[str, int]:
    """How often each operation occurs, functions included."""
    counts: dict[str, int] = {}
    for node in iterate_nodes(graph_def):
        counts[node.op] = counts.get(node.op, 0) + 1
    return counts


def collect_ancestors(graph_def: Any, names: list[str]) -> list[Any]:
    """The nodes from which the named ones can be reached, each once."""
    by_name = {node.name: node for node in graph_def.node}
    ancestors: dict[str, Any] = {}
    while names:
        name = names.pop()
        if name not in ancestors:
            ancestors[name] = by_name[name]
            names += [parse_node_name(text) for text in by_name[name].input]
    return list(ancestors.values())


def parse_node_name(text: str) -> str:
    return text.lstrip("^").split(":")[0]


def find_constants(graph_def: Any, dtype: tf.DType, min_elements: int = 0) -> list[Any]:
    """The Const nodes of a dtype with at least so many elements, functions included."""
    return [
        node
        for node in iterate_nodes(graph_def)
        if node.op == "Const"
        and node.attr["dtype"].type == dtype.as_datatype_enum
        and count_elements(node) >= min_elements
    ]


def count_elements(node: Any) -> int:
    """Elements of a Const node's tensor."""
    return prod(dim.size for dim in node.attr["value"].tensor.tensor_shape.dim)


def rewrite_constants(
    graph_def: Any, dtype: tf.DType, min_elements: int, rewrite: Callable[[Any], list[Any] | None]
) -> tuple[Any, list[str]]:
    """A copy of a graph in which chosen constants are replaced.

    Args:
        graph_def: The graph; functions are left alone, so optimize first.
        dtype: Dtype of the constants that are offered to `rewrite`.
        min_elements: Least number of their elements.
        rewrite: Function from a Const node to the nodes that replace it, the last of them under the old name; None
            keeps the node.

    Returns:
        The new graph, and the names of the constants that were replaced.
    """
    chosen = {node.name for node in find_constants(graph_def, dtype, min_elements)}
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    replaced: list[str] = []
    for node in graph_def.node:
        new = rewrite(node) if node.name in chosen else None
        for each in new or ():
            if each.op == "Const" and not each.input:
                each.input.extend(node.input)  # within a loop a constant waits for something of it
        result.node.extend([node] if new is None else new)
        if new is not None:
            replaced.append(node.name)
    return result, replaced


def make_const_node(name: str, value: Any, dtype: tf.DType) -> Any:
    """A Const node."""
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype=dtype))
    return node


def make_identity_node(name: str, source: str, dtype: tf.DType) -> Any:
    """An Identity node."""
    node = tf.compat.v1.NodeDef(name=name, op="Identity", input=[source])
    node.attr["T"].type = dtype.as_datatype_enum
    return node


def make_cast_node(name: str, source: str, of: tf.DType, to: tf.DType) -> Any:
    """A Cast node."""
    node = tf.compat.v1.NodeDef(name=name, op="Cast", input=[source])
    node.attr["SrcT"].type = of.as_datatype_enum
    node.attr["DstT"].type = to.as_datatype_enum
    return node
