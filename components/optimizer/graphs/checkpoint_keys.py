"""Which key of a SavedModel's checkpoint each variable of its graph is loaded from.

The graph's own restore op says it, as a loader runs it. Names do not: Keras 3 names its variables by path in the object
graph and otherwise in the graph, and models of TensorFlow 1 have no object graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from taxiway.components.optimizer.graphs.inlining import CALLS
from taxiway.components.optimizer.tensorflow_private import flatten_function

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_ASSIGNMENTS = frozenset({"AssignVariableOp", "Assign"})
_VIEWS = frozenset({"Identity", "Cast", "Reshape"})


def map_checkpoint_keys(meta_graph: Any) -> dict[str, str]:
    """Name of a variable's node in the graph to its key in the checkpoint; empty where the graph restores nothing."""
    graph = meta_graph.graph_def
    keys = dict(_iterate_assignments(graph.node, {}))
    functions = {function.signature.name: function for function in graph.library.function}
    restoring = meta_graph.saver_def.restore_op_name.split(":")[0]
    for node in graph.node:
        function = functions.get(node.attr["f"].func.name) if node.op in CALLS and node.name == restoring else None
        if function is not None:
            given = [_strip_output(text) for text in node.input if not text.startswith("^")]
            names = [argument.name for argument in function.signature.input_arg]
            keys |= dict(_iterate_assignments(flatten_function(function)[0].node, dict(zip(names, given, strict=True))))
    return keys


def _iterate_assignments(nodes: Iterable[Any], arguments: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Variable and key of every assignment of what was restored."""
    by_name = {node.name: node for node in nodes}
    for node in by_name.values():
        if node.op in _ASSIGNMENTS:
            key = _find_restored_key(by_name, node.input[1])
            variable = _strip_output(node.input[0])
            if key:
                yield arguments.get(variable, variable), key


def _find_restored_key(by_name: Mapping[str, Any], text: str) -> str:
    """The key that a tensor was restored from; empty where it was not."""
    name, _, index = text.partition(":")
    node = by_name.get(name)
    while node is not None and node.op in _VIEWS:
        name, _, index = node.input[0].partition(":")
        node = by_name.get(name)
    if node is None or node.op != "RestoreV2":
        return ""
    names = by_name.get(_strip_output(node.input[1]))
    if names is None or names.op != "Const":
        return ""
    return str(tf.make_ndarray(names.attr["value"].tensor).ravel()[int(index or 0)].decode())


def _strip_output(text: str) -> str:
    return text.removeprefix("^").split(":")[0]


def write_checkpoint(servable: str, values: Mapping[str, Any]) -> None:
    """Writes the checkpoint of a SavedModel's folder anew."""
    target = Path(servable, "variables", "variables")
    target.parent.mkdir(exist_ok=True)
    for file in target.parent.iterdir():
        file.unlink()
    tf.raw_ops.SaveV2(
        prefix=str(target),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=list(values.values()),
    )
