"""SavedModels as one flat graph: load, freeze, optimize, rewrite, write.

A servable is read the way TensorFlow Serving reads it, into a graph with a session. Its variables become constants,
its function calls are inlined, and what is written holds one flat graph with the same signatures, tables and assets and
no checkpoint. Works on any SavedModel, whatever made it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import (
    meta_graph_pb2,
    rewriter_config_pb2,
    saved_model_pb2,
)
from tensorflow.python.grappler import tf_optimizer

from components.optimizer import nodes
from components.optimizer.inlining import inline_calls

INIT_SIGNATURE = "__saved_model_init_op"
_RESOURCE = tf.resource.as_datatype_enum
_MAIN_OP_COLLECTION = "saved_model_main_op"
_SHARED_ELEMENTS = 32


@dataclass(frozen=True)
class FlatModel:
    """A frozen graph with what a SavedModel needs around it.

    Attributes:
        meta_graph: Graph, signatures and asset names; no collections, no variables.
        origin: The SavedModel folder it was read from, for its assets.
    """

    meta_graph: meta_graph_pb2.MetaGraphDef
    origin: str

    @property
    def graph(self) -> Any:
        return self.meta_graph.graph_def

    def with_graph(self, graph_def: Any) -> FlatModel:
        """The same signatures over another graph."""
        meta_graph = meta_graph_pb2.MetaGraphDef()
        meta_graph.CopyFrom(self.meta_graph)
        meta_graph.graph_def.CopyFrom(graph_def)
        return replace(self, meta_graph=meta_graph)


def load_frozen(servable: str) -> FlatModel:
    """Reads a SavedModel as one flat graph whose variables are constants.

    Function calls are inlined first, so that every reader of a variable is in sight: TensorFlow's own
    `convert_variables_to_constants` leaves embedding look-ups behind whose table is an argument of a function.

    Args:
        servable: Folder of a SavedModel with the tag `serve`.
    """
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], servable)
        graph_def = graph.as_graph_def()
        values = _variable_values(graph, session)
    partly = optimize(FlatModel(_bare(meta_graph, graph_def), servable))
    inlined = partly.with_graph(inline_calls(partly.graph))
    return inlined.with_graph(_without_variables(inlined.graph, values))


def _variable_values(graph: tf.Graph, session: Any) -> dict[str, Any]:
    """The value of every numeric variable, by the name of its handle."""
    handles = [op for op in graph.get_operations() if op.type == "VarHandleOp" and op.get_attr("dtype") != tf.string]
    dtypes = {op.name: op.get_attr("dtype") for op in handles}
    with graph.as_default():
        reads = {op.name: tf.raw_ops.ReadVariableOp(resource=op.outputs[0], dtype=dtypes[op.name]) for op in handles}
    values: dict[str, Any] = session.run(reads)
    return values


def _without_variables(graph_def: Any, values: dict[str, Any]) -> Any:
    """A flat graph in which variables and what reads them became constants and what reads those."""
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    handles = _handles(graph_def, values)
    for node in graph_def.node:
        dtype = handles.get(_source(node)) if node.input else None
        if node.op == "VarHandleOp" and node.name in handles:
            result.node.append(nodes.const_node(node.name, values[node.name], handles[node.name]))
        elif dtype and node.op in ("ReadVariableOp", "Identity"):
            identity = nodes.identity_node(node.name, node.input[0], dtype)
            identity.input.extend(node.input[1:])
            result.node.append(identity)
        elif dtype and node.op == "ResourceGather":
            result.node.extend(_gather_nodes(node))
        else:
            result.node.append(node)
    return result


def _handles(graph_def: Any, values: dict[str, Any]) -> dict[str, tf.DType]:
    """Nodes whose output is the handle of a numeric variable, with its dtype: the variables, and identities of them."""
    found = {
        n.name: tf.dtypes.as_dtype(n.attr["dtype"].type)
        for n in graph_def.node
        if n.op == "VarHandleOp" and n.name in values
    }
    identities = [n for n in graph_def.node if n.op == "Identity" and n.attr["T"].type == _RESOURCE]
    while True:
        more = {n.name: found[_source(n)] for n in identities if n.name not in found and _source(n) in found}
        if not more:
            return found
        found |= more


def _gather_nodes(node: Any) -> list[Any]:
    """GatherV2 instead of ResourceGather, with the axis that it needs."""
    axis = nodes.const_node(node.name + "/axis", 0, tf.int32)
    gather = tf.compat.v1.NodeDef(name=node.name, op="GatherV2", input=[node.input[0], node.input[1], axis.name])
    gather.input.extend(name for name in node.input[2:] if name.startswith("^"))
    gather.attr["batch_dims"].i = node.attr["batch_dims"].i
    gather.attr["Tparams"].type = node.attr["dtype"].type
    gather.attr["Tindices"].type = node.attr["Tindices"].type
    gather.attr["Taxis"].type = tf.int32.as_datatype_enum
    return [axis, gather]


def _source(node: Any) -> str:
    return str(node.input[0].split(":")[0])


def _bare(meta_graph: Any, frozen: Any) -> Any:
    """The parts of a meta graph that a frozen SavedModel has: graph, signatures, assets, how tables are initialized."""
    bare = meta_graph_pb2.MetaGraphDef()
    bare.meta_info_def.CopyFrom(meta_graph.meta_info_def)
    bare.meta_info_def.ClearField("stripped_op_list")
    bare.graph_def.CopyFrom(_with_constant_asset_paths(frozen, meta_graph.asset_file_def))
    bare.asset_file_def.extend(meta_graph.asset_file_def)
    for name, signature in meta_graph.signature_def.items():
        if name != INIT_SIGNATURE:
            bare.signature_def[name].CopyFrom(signature)
    main_op = _main_op(meta_graph)
    if main_op:
        bare.collection_def[_MAIN_OP_COLLECTION].node_list.value.append(main_op)
    return bare


def _main_op(meta_graph: Any) -> str:
    """Name of the node that initializes tables; empty where there is none."""
    if INIT_SIGNATURE in meta_graph.signature_def:
        return str(meta_graph.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE].name.split(":")[0])
    names = meta_graph.collection_def[_MAIN_OP_COLLECTION].node_list.value
    return str(names[0].split(":")[0]) if names else ""


def _with_constant_asset_paths(graph_def: Any, assets: Any) -> Any:
    """A graph whose assets are constants that the loader overrides, as in a TensorFlow 1 SavedModel.

    TensorFlow 2 keeps an asset's path in a string variable that the initializer assigns from a placeholder; it cannot
    itself load that again once the graph has no object graph beside it.
    """
    names = {asset.tensor_info.name.split(":")[0]: asset.filename for asset in assets}
    assigned = {node.input[0]: node.input[1] for node in graph_def.node if node.op == "AssignVariableOp"}
    strings = set(_asset_paths(graph_def))
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph_def)
    for node in result.node:
        if node.name in names:
            node.CopyFrom(nodes.const_node(node.name, names[node.name].encode(), tf.string))
        elif node.op == "ReadVariableOp" and node.input[0] in strings:
            node.CopyFrom(nodes.identity_node(node.name, assigned[node.input[0]], tf.string))
        elif node.op == "AssignVariableOp" and node.input[0] in strings:
            node.CopyFrom(tf.compat.v1.NodeDef(name=node.name, op="NoOp"))
    return result


def optimize(model: FlatModel) -> FlatModel:
    """Grappler, run ahead of time: inlining, constant folding, arithmetic, layout, remapping, pruning."""
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.CopyFrom(model.meta_graph)
    fetches = meta_graph.collection_def["train_op"].node_list.value
    fetches.extend(sorted(kept_nodes(meta_graph)))
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1
    rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.TWO
    rewriting.meta_optimizer_timeout_ms = 120_000
    rewriting.fail_on_optimizer_errors = False
    return model.with_graph(_with_shared_constants(tf_optimizer.OptimizeGraph(config, meta_graph)))


def _with_shared_constants(graph_def: Any) -> Any:
    """Lets readers of equal large constants share one: folding leaves a copy for each signature that reads a weight."""
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph_def)
    first: dict[bytes, str] = {}
    other: dict[str, str] = {}
    for node in result.node:
        if node.op == "Const" and nodes.elements(node) >= _SHARED_ELEMENTS:
            node.ClearField("input")  # a constant waits for nothing
            value = node.attr["value"].SerializeToString(deterministic=True)
            other[node.name] = first.setdefault(value, node.name)
    for node in result.node:
        for i, text in enumerate(node.input):
            if text in other:
                node.input[i] = other[text]
    kept = [node for node in result.node if other.get(node.name, node.name) == node.name]
    del result.node[:]
    result.node.extend(kept)
    return result


def write(model: FlatModel, servable: str) -> None:
    """Writes a SavedModel folder: one graph, the origin's assets and extra assets, no checkpoint."""
    folder = Path(servable)
    folder.mkdir(parents=True, exist_ok=True)
    for assets in ("assets", "assets.extra"):
        if Path(model.origin, assets).is_dir():
            shutil.copytree(Path(model.origin, assets), folder / assets, dirs_exist_ok=True)
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    saved.meta_graphs.append(model.meta_graph)
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))


def flat(servable: str) -> FlatModel:
    """A SavedModel as one flat, optimized graph of constants; one that `write` wrote is only read."""
    found = read_flat(servable)
    if found.meta_graph.HasField("object_graph_def") or Path(servable, "variables").exists():
        return optimize(load_frozen(servable))
    return found


def copy_extra_assets(source: str, target: str) -> None:
    """Copies `assets.extra/`, which no converter knows."""
    if Path(source, "assets.extra").is_dir():
        shutil.copytree(Path(source, "assets.extra"), Path(target, "assets.extra"), dirs_exist_ok=True)


def read_flat(servable: str) -> FlatModel:
    """A SavedModel that `write` wrote, as it is on disk."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(Path(servable, "saved_model.pb").read_bytes())
    return FlatModel(saved.meta_graphs[0], servable)


def kept_nodes(meta_graph: Any) -> set[str]:
    """Nodes of every signature's inputs and outputs, and the one that initializes tables."""
    kept = signature_nodes(meta_graph)
    if _main_op(meta_graph):
        kept.add(_main_op(meta_graph))
    kept.update(asset.tensor_info.name.split(":")[0] for asset in meta_graph.asset_file_def)
    return kept


def signature_nodes(meta_graph: Any) -> set[str]:
    """Nodes of the inputs and outputs of every signature that answers requests."""
    signatures = [signature for name, signature in meta_graph.signature_def.items() if name != INIT_SIGNATURE]
    tensors = [t for s in signatures for t in (*s.inputs.values(), *s.outputs.values())]
    return {tensor.name.split(":")[0] for tensor in tensors}


def _asset_paths(graph_def: Any) -> list[str]:
    """Variables that hold the path of an asset: the loader assigns them, and the path is another on every machine."""
    variables = [node for node in graph_def.node if node.op == "VarHandleOp"]
    return [node.name for node in variables if node.attr["dtype"].type == tf.string.as_datatype_enum]


def count_executed_ops(servable: str, signature: str) -> dict[str, int]:
    """How often each operation occurs on the way to a signature's outputs; a function's body counts at every call."""
    meta_graph = read_flat(servable).meta_graph
    functions = {f.signature.name: f.node_def for f in meta_graph.graph_def.library.function}
    outputs = meta_graph.signature_def[signature].outputs.values()
    counts: dict[str, int] = {}
    waiting = nodes.reached(meta_graph.graph_def, [output.name.split(":")[0] for output in outputs])
    while waiting:
        node = waiting.pop()
        counts[node.op] = counts.get(node.op, 0) + 1
        called = [value.func.name for value in node.attr.values() if value.HasField("func")]
        waiting += [inner for name in called for inner in functions.get(name, ())]
    return counts
