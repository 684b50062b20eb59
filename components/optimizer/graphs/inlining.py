"""Inlines the function calls that Grappler leaves.

Grappler does not inline a call whose body reads a look-up table: it takes the look-up for a side effect that nothing
guarantees to run. Every Transform graph with a vocabulary is such a call, and TensorFlow runs it, at every request, as
a function of its own beside the flat graph. A look-up only reads, so inlining it changes nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import tensorflow as tf

from taxiway.components.optimizer.tensorflow_private import flatten_function

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
READ_ONLY = frozenset(
    {
        "LookupTableFindV2",
        "LookupTableSizeV2",
        "HashTableV2",
        "ReadVariableOp",
        "ResourceGather",
        "ResourceGatherNd",
        "VariableShape",
    }
)
"""Operations that TensorFlow calls stateful although they change nothing."""


def inline_calls(graph_def: Any) -> Any:
    """A copy of a graph without the calls of functions that only compute and look up. Others stay."""
    functions = {f.signature.name: f for f in graph_def.library.function}
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    waiting = list(graph_def.node)
    while waiting:
        node = waiting.pop()
        function = functions.get(node.attr["f"].func.name) if node.op in CALLS else None
        if function is None or not _is_pure(function, functions):
            result.node.append(node)
        else:
            waiting += _inline_call(node, function, result.library)
    return result


def _is_pure(function: Any, functions: dict[str, Any]) -> bool:
    for node in function.node_def:
        if node.op in CALLS:
            called = functions.get(node.attr["f"].func.name)
            if called is None or not _is_pure(called, functions):
                return False
        elif node.op not in READ_ONLY and _is_stateful(node.op):
            return False
    return True


@cache
def _is_stateful(op: str) -> bool:
    """Whether an operation is declared to read or change a state; one that is not known may do anything."""
    try:
        return bool(tf.Graph().op_def_for_type(op).is_stateful)
    except RuntimeError:
        return True


def _inline_call(call: Any, function: Any, library: Any) -> list[Any]:
    """The nodes of the body under names of the call's, and an IdentityN of its outputs under the call's own name."""
    body, flat_names = flatten_function(function)
    given = [name for name in call.input if not name.startswith("^")]
    arguments = {arg.name: given[i] for i, arg in enumerate(function.signature.input_arg)}
    nodes = []
    for node in body.node:
        if node.name not in arguments:
            inner = tf.compat.v1.NodeDef()
            inner.CopyFrom(node)
            inner.name = f"{call.name}/{node.name}"
            inner.ClearField("input")
            inner.input.extend(_rename_input(text, call.name, arguments) for text in node.input)
            nodes.append(inner)
    outputs = [flat_names[function.ret[arg.name]] for arg in function.signature.output_arg]
    identity = tf.compat.v1.NodeDef(name=call.name, op="IdentityN")
    identity.input.extend(_rename_input(text, call.name, arguments) for text in outputs)
    identity.attr["T"].list.type.extend(call.attr["Tout"].list.type)
    return [*nodes, identity] if outputs else [*nodes, tf.compat.v1.NodeDef(name=call.name, op="NoOp")]


def _rename_input(text: str, call: str, arguments: dict[str, str]) -> str:
    """An input inside the body as one of the graph around it: an argument's source, or the renamed node."""
    control, name = ("^", text[1:]) if text.startswith("^") else ("", text)
    node, _, index = name.partition(":")
    if node in arguments:
        source = arguments[node]
        return f"^{source.split(':')[0]}" if control else source
    return f"{control}{call}/{node}" + (f":{index}" if index and index != "0" and not control else "")
