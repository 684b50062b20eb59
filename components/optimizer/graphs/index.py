"""Finds patterns in a graph: the node behind an input, the readers of an output, the value of a constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.optimizer.graphs import nodes

Output = tuple[str, int]
"""A node's name and the number of its output."""


def parse_output(text: str) -> Output:
    """The output that an input's text names; control inputs are not outputs."""
    name, _, index = text.partition(":")
    return name, int(index or 0)


def format_output(output: Output) -> str:
    """How an input names an output."""
    return output[0] if output[1] == 0 else f"{output[0]}:{output[1]}"


class GraphIndex:
    """Nodes of a flat graph by name, and who reads their outputs. It does not follow later changes of the graph."""

    def __init__(self, graph_def: Any) -> None:
        self.by_name = {node.name: node for node in graph_def.node}
        self.readers: dict[Output, list[Any]] = {}
        for node in graph_def.node:
            for text in node.input:
                if not text.startswith("^"):
                    self.readers.setdefault(parse_output(text), []).append(node)

    def get_input_node(self, node: Any, position: int) -> Any:
        """The node behind an input; None where there is none."""
        return self.by_name.get(parse_output(node.input[position])[0]) if position < len(node.input) else None

    def list_nodes(self, op: str) -> list[Any]:
        """The nodes of an operation."""
        return [node for node in self.by_name.values() if node.op == op]

    def read_constant(self, text: str) -> NDArray[Any] | None:
        """What a constant holds; None for anything else."""
        node = self.by_name.get(parse_output(text)[0])
        if node is None or node.op != "Const":
            return None
        value: NDArray[Any] = tf.make_ndarray(node.attr["value"].tensor)
        return value

    def holds_value(self, text: str, wanted: Any) -> bool:
        """Whether an input is a constant of just this value."""
        value = self.read_constant(text)
        return value is not None and value.shape == np.shape(wanted) and bool(np.all(value == wanted))

    def match_dimension(self, text: str, axis: int) -> Output | None:
        """The shape `s` where the input is `s[axis]`; None where it is something else."""
        node = self.by_name.get(parse_output(text)[0])
        if node is None or node.op != "StridedSlice" or node.attr["shrink_axis_mask"].i != 1:
            return None
        first = self.holds_value(node.input[1], [axis]) or (axis == 0 and node.attr["begin_mask"].i == 1)
        one = self.holds_value(node.input[3], [1]) and not node.attr["new_axis_mask"].i
        return parse_output(node.input[0]) if first and one else None


def prune_graph(graph_def: Any, kept: Sequence[str]) -> Any:
    """A copy of a graph with the kept nodes and their ancestors only."""
    wanted = {node.name for node in nodes.collect_ancestors(graph_def, list(kept))}
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    result.node.extend(node for node in graph_def.node if node.name in wanted)
    return result


def replace_nodes(graph_def: Any, new: dict[str, list[Any]]) -> Any:
    """A copy of a graph in which nodes, by name, are replaced by others, the last of which has the old name."""
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        result.node.extend(new.get(node.name, [node]))
    return result
