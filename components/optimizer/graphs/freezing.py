"""Variables of a flat graph become constants, and what reads them reads those."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer.graphs import nodes

_RESOURCE = tf.resource.as_datatype_enum
_FLOW = frozenset({"Enter", "Merge", "Switch", "NextIteration", "Exit"})
"""Operations of loops and branches, through which a variable's handle reaches what reads it inside."""
REFERENCE_VARIABLES = frozenset({"VariableV2", "Variable"})
"""Variables of TensorFlow 1, whose output is the value itself."""
_SAME_READERS = {
    "ResourceGatherNd": ("GatherNd", "Tparams", "Tindices"),
    "VariableShape": ("Shape", "T", "out_type"),
}
"""Readers of a variable that take what an operation on its value takes: that, its attribute for the value's dtype, and
the attribute that both have."""
_WRITERS = ("Assign", "ResourceApply", "ResourceSparseApply", "ResourceScatter", "ResourceStridedSliceAssign")


class FreezingError(OptimizationError):
    """A variable of the model cannot become a constant, so that nothing that needs a frozen graph can be applied."""


def freeze_variables(graph_def: Any, values: dict[str, Any]) -> Any:
    """A flat graph in which variables and what reads them became constants and what reads those.

    Args:
        graph_def: The graph, its calls inlined.
        values: Value of each variable by the name of its node.

    Raises:
        FreezingError: Something else than a reading takes a variable.
    """
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    handles = _find_handles(graph_def, values)
    for node in graph_def.node:
        dtype = handles.get(_get_input_node(node)) if node.input else None
        if node.op in REFERENCE_VARIABLES and node.name in values:
            dtype = tf.dtypes.as_dtype(node.attr["dtype"].type)
            result.node.append(nodes.make_const_node(node.name, values[node.name], dtype))
        elif node.op == "VarHandleOp" and node.name in handles:
            result.node.append(nodes.make_const_node(node.name, values[node.name], handles[node.name]))
        elif dtype and node.op in ("ReadVariableOp", "Identity"):
            identity = nodes.make_identity_node(node.name, node.input[0], dtype)
            identity.input.extend(node.input[1:])
            result.node.append(identity)
        elif dtype and node.name in handles and node.op in _FLOW:
            passed = result.node.add()
            passed.CopyFrom(node)
            passed.attr["T"].type = dtype.as_datatype_enum
        elif dtype and node.op == "ResourceGather":
            result.node.extend(_build_gather_nodes(node))
        elif dtype and node.op in _SAME_READERS:
            result.node.append(_build_reader(node, dtype))
        elif used := next((text for text in node.input if _strip_output(text) in handles), None):
            raise FreezingError(_explain_use(node, _strip_output(used)))
        else:
            result.node.append(node)
    return result


def _find_handles(graph_def: Any, values: dict[str, Any]) -> dict[str, tf.DType]:
    """Nodes whose output is the handle of a numeric variable, with its dtype: the variables, and what hands them on."""
    handles = {
        n.name: tf.dtypes.as_dtype(n.attr["dtype"].type)
        for n in graph_def.node
        if n.op == "VarHandleOp" and n.name in values
    }
    views = [n for n in graph_def.node if n.op in {"Identity", *_FLOW} and n.attr["T"].type == _RESOURCE]
    while True:
        more = {
            n.name: handles[_get_input_node(n)]
            for n in views
            if n.name not in handles and _get_input_node(n) in handles
        }
        if not more:
            return handles
        handles |= more


def _build_reader(node: Any, dtype: tf.DType) -> Any:
    op, value_type, kept = _SAME_READERS[node.op]
    reader = tf.compat.v1.NodeDef(name=node.name, op=op, input=node.input)
    reader.attr[value_type].type = dtype.as_datatype_enum
    reader.attr[kept].CopyFrom(node.attr[kept])
    return reader


def _build_gather_nodes(node: Any) -> list[Any]:
    """GatherV2 instead of ResourceGather, with the axis that it needs."""
    axis = nodes.make_const_node(node.name + "/axis", 0, tf.int32)
    axis.input.append(f"^{_strip_output(node.input[1])}")  # in a loop a constant belongs to what it waits for
    gather = tf.compat.v1.NodeDef(name=node.name, op="GatherV2", input=[node.input[0], node.input[1], axis.name])
    gather.input.extend(name for name in node.input[2:] if name.startswith("^"))
    gather.attr["batch_dims"].i = node.attr["batch_dims"].i
    gather.attr["Tparams"].type = node.attr["dtype"].type
    gather.attr["Tindices"].type = node.attr["Tindices"].type
    gather.attr["Taxis"].type = tf.int32.as_datatype_enum
    return [axis, gather]


def _explain_use(node: Any, variable: str) -> str:
    """Why a variable cannot become a constant where a node takes it."""
    if any(value.HasField("func") or value.list.func for value in node.attr.values()):
        why = f"{node.op} ({node.name}) takes the variable {variable} into a function that cannot be inlined"
    elif node.op.startswith(_WRITERS):
        why = f"the variable {variable} is written to in the graph, by {node.op} ({node.name})"
    else:
        why = f"{node.op} ({node.name}) takes the variable {variable}, and has no counterpart that takes a constant"
    return f"{why}, so it cannot become a constant"


def _get_input_node(node: Any) -> str:
    return _strip_output(node.input[0])


def _strip_output(text: str) -> str:
    return text.split(":")[0]
