"""Large weights of a flat graph lie in a checkpoint beside it, and are variables once it is loaded.

A graph of hundreds of megabytes of constants is copied whole by TensorFlow when it is imported, placed, optimized and
divided: a frozen encoder of 110 million parameters took 6 GB to load and 5.7 GB to keep, where its variables take 0.8.
So what a written SavedModel holds is a graph that reads variables, and a restore op as TensorFlow 1's saver has it,
which TensorFlow Serving, sessions and `tf.saved_model.load` run; converters are given the constants
(`saved_model.hold_with_constants`). Weights that are stored smaller (a cast, or a cast and a product with scales) are
made float32 there, once, where a constant would be folded or, above TensorFlow's limit for that, be cast at every call.

In memory the same weights are constants: `bring_in` undoes what `move_out` did.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saver_pb2

from taxiway.components.optimizer.graphs import nodes

LARGE_BYTES, MOVED_BYTES = 1 << 20, 100 << 20
"""Constants of so many bytes are large, and are moved where they are so many together."""
_RESTORED, _SAVER = "restored_weights", "weights_saver"
"""Scopes of what makes the weights of a checkpoint, and of what reads and assigns them."""
_PATH, _ALL = f"{_SAVER}/path", f"{_SAVER}/all"
_CONVERSIONS = frozenset({"Cast", "Mul"})


@dataclass
class _Weight:
    """A large constant, the conversions that only it and small constants go into, and the last of these."""

    constant: Any
    root: Any
    inner: dict[str, Any] = field(default_factory=dict)

    @property
    def dtype(self) -> int:
        return int(self.root.attr[{"Const": "dtype", "Cast": "DstT", "Mul": "T"}[self.root.op]].type)


def find_large_constants(graph_def: Any) -> dict[str, Any]:
    """The large constants of numbers of a graph by name; empty where they are not many bytes together.

    One that waits for something inside of a loop is no such constant: a variable or a placeholder in its place would be
    outside of the loop, and what reads it inside.
    """
    text, looped = tf.string.as_datatype_enum, nodes.has_loops(graph_def)
    constants = [n for n in graph_def.node if n.op == "Const" and not (looped and n.input)]
    sizes = {n.name: n.ByteSize() for n in constants if n.attr["dtype"].type != text}
    large = {node.name: node for node in graph_def.node if sizes.get(node.name, 0) >= LARGE_BYTES}
    return large if sum(sizes[name] for name in large) >= MOVED_BYTES else {}


def are_outside(meta_graph: Any) -> bool:
    """Whether `move_out` has made a meta graph."""
    return bool(meta_graph.saver_def.restore_op_name == _ALL)


def move_out(meta_graph: Any) -> tuple[Any, dict[str, Any]]:
    """A meta graph that reads large constants from a checkpoint, and the arrays of that checkpoint by key; the meta
    graph itself and none, where they are not many bytes."""
    large = find_large_constants(meta_graph.graph_def)
    if not large:
        return meta_graph, {}
    weights = _find_weights(meta_graph.graph_def, large)
    gone = {name for weight in weights for name in weight.inner}
    graph = tf.compat.v1.GraphDef(versions=meta_graph.graph_def.versions, library=meta_graph.graph_def.library)
    graph.node.extend(node for node in meta_graph.graph_def.node if node.name not in gone)
    path = tf.compat.v1.NodeDef(name=_PATH, op="Placeholder")
    path.attr["dtype"].type = tf.string.as_datatype_enum
    everything = tf.compat.v1.NodeDef(name=_ALL, op="NoOp")
    graph.node.append(path)
    values = {}
    for weight in weights:
        values[weight.constant.name] = tf.make_ndarray(weight.constant.attr["value"].tensor)
        graph.node.extend(_build_variable(weight, values[weight.constant.name]))
        everything.input.append(f"^{_SAVER}/{weight.root.name}/assign")
    graph.node.append(everything)
    return _wrap_graph(meta_graph, graph), values


def _wrap_graph(meta_graph: Any, graph_def: Any) -> Any:
    result = meta_graph_pb2.MetaGraphDef()
    for descriptor, value in meta_graph.ListFields():
        if descriptor.name not in ("graph_def", "saver_def"):
            getattr(result, descriptor.name).MergeFrom(value)
    result.graph_def.CopyFrom(graph_def)
    result.saver_def.CopyFrom(
        saver_pb2.SaverDef(
            filename_tensor_name=f"{_PATH}:0",
            save_tensor_name=f"{_PATH}:0",  # a loader asks for one; there is nothing to be saved
            restore_op_name=_ALL,
            version=saver_pb2.SaverDef.V2,
        )
    )
    return result


def _find_weights(graph_def: Any, large: dict[str, Any]) -> list[_Weight]:
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in graph_def.node:
        for name in dict.fromkeys(map(nodes.parse_node_name, node.input)):
            readers[name].append(node)
    small = {n.name: n for n in graph_def.node if n.op == "Const" and n.name not in large and not n.input}
    return [_follow_conversions(constant, readers, small) for constant in large.values()]


def _follow_conversions(constant: Any, readers: dict[str, list[Any]], small: dict[str, Any]) -> _Weight:
    """The weight that a large constant is stored for: through conversions of which it is the only large input."""
    weight = _Weight(constant, constant, {constant.name: constant})
    while len(readers[weight.root.name]) == 1 and readers[weight.root.name][0].op in _CONVERSIONS:
        reader = readers[weight.root.name][0]
        others = [text for text in reader.input if text not in (weight.root.name, f"{weight.root.name}:0")]
        found = [small[name] for text in others if (name := text.removesuffix(":0")) in small]
        if len(found) + 1 != len(reader.input) or not _keeps_shape(constant, found):
            break
        if any(len(readers[node.name]) > 1 for node in found):
            break
        weight.inner |= {node.name: node for node in (*found, reader)}
        weight.root = reader
    return weight


def _keeps_shape(constant: Any, others: list[Any]) -> bool:
    shape = _read_shape(constant)
    return all(np.broadcast_shapes(shape, _read_shape(other)) == shape for other in others)


def _read_shape(constant: Any) -> tuple[int, ...]:
    return tuple(dim.size for dim in constant.attr["value"].tensor.tensor_shape.dim)


def _build_variable(weight: _Weight, value: Any) -> list[Any]:
    """The variable of a weight under the weight's name, and the nodes that read it from the checkpoint."""
    name, shape = weight.root.name, weight.constant.attr["value"].tensor.tensor_shape
    handle = tf.compat.v1.NodeDef(name=f"{_SAVER}/{name}/variable", op="VarHandleOp")
    # One name for one value: `tf.saved_model.load` keeps variables of all models of a process in one place.
    digest = hashlib.sha256(b"".join(node.SerializeToString(deterministic=True) for node in weight.inner.values()))
    handle.attr["shared_name"].s = f"{name}-{digest.hexdigest()[:32]}".encode()
    handle.attr["container"].s = b""
    handle.attr["dtype"].type = weight.dtype
    handle.attr["shape"].shape.CopyFrom(shape)
    read = tf.compat.v1.NodeDef(name=name, op="ReadVariableOp", input=[handle.name])
    read.attr["dtype"].type = weight.dtype
    assign = tf.compat.v1.NodeDef(
        name=f"{_SAVER}/{name}/assign", op="AssignVariableOp", input=[handle.name, f"{_RESTORED}/{name}"]
    )
    assign.attr["dtype"].type = weight.dtype
    assign.attr["validate_shape"].b = False
    return [handle, read, assign, *_build_reading(weight.constant), *map(_rename_node, _list_conversions(weight))]


def _list_conversions(weight: _Weight) -> list[Any]:
    return [node for name, node in weight.inner.items() if name != weight.constant.name]


def _rename_node(node: Any) -> Any:
    renamed = tf.compat.v1.NodeDef()
    renamed.CopyFrom(node)
    renamed.name = f"{_RESTORED}/{node.name}"
    renamed.input[:] = [f"{_RESTORED}/{text}" for text in node.input]
    return renamed


def _build_reading(constant: Any) -> list[Any]:
    """RestoreV2 of one tensor, in place of the constant."""
    scope = f"{_SAVER}/{constant.name}"
    name = nodes.make_const_node(f"{scope}/key", [constant.name.encode()], tf.string)
    whole = nodes.make_const_node(f"{scope}/slice", [b""], tf.string)
    reading = tf.compat.v1.NodeDef(
        name=f"{_RESTORED}/{constant.name}", op="RestoreV2", input=[_PATH, name.name, whole.name]
    )
    reading.attr["dtypes"].list.type.append(constant.attr["dtype"].type)
    return [name, whole, reading]


def bring_in(meta_graph: Any, servable: str) -> Any:
    """The meta graph that `move_out` was given, its large weights read from the SavedModel's checkpoint."""
    reader = tf.train.load_checkpoint(str(Path(servable, "variables", "variables")))
    graph = tf.compat.v1.GraphDef(versions=meta_graph.graph_def.versions, library=meta_graph.graph_def.library)
    handles = {node.name for node in meta_graph.graph_def.node if node.name.startswith(f"{_SAVER}/")}
    for node in meta_graph.graph_def.node:
        if node.op == "RestoreV2" and node.name.startswith(f"{_RESTORED}/"):
            name = node.name.removeprefix(f"{_RESTORED}/")
            dtype = tf.dtypes.as_dtype(node.attr["dtypes"].list.type[0])
            graph.node.append(nodes.make_const_node(name, reader.get_tensor(name), dtype))
        elif node.name.startswith(f"{_RESTORED}/"):
            original = graph.node.add()
            original.CopyFrom(node)
            original.name = node.name.removeprefix(f"{_RESTORED}/")
            original.input[:] = [text.removeprefix(f"{_RESTORED}/") for text in node.input]
        elif node.name not in handles and not (node.op == "ReadVariableOp" and node.input[0] in handles):
            graph.node.append(node)
    result = _wrap_graph(meta_graph, graph)
    result.ClearField("saver_def")
    return result
