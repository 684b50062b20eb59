"""SavedModels as one flat graph: load, freeze, optimize, rewrite, write.

A servable is read the way TensorFlow Serving reads it, into a graph with a session. Its variables become constants,
its function calls are inlined, and what is written holds one flat graph with the same signatures, tables and assets and
no checkpoint. Works on any SavedModel, whatever made it.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, rewriter_config_pb2, saved_model_pb2

from taxiway.components.optimizer.graphs import checkpoint_keys, freezing, large_weights, nodes
from taxiway.components.optimizer.graphs.inlining import inline_calls
from taxiway.components.optimizer.tensorflow_private import rewrite_by_grappler
from taxiway.components.saved_models.session import SavedModelSession

INIT_SIGNATURE = "__saved_model_init_op"
_LEGACY_COLLECTION = "legacy_init_op"
"""As TensorFlow 1's builder called it before `saved_model_main_op`."""
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
        for field, value in self.meta_graph.ListFields():
            if field.name != "graph_def":  # a graph holds all weights: the old one is not copied first
                getattr(meta_graph, field.name).MergeFrom(value)
        meta_graph.graph_def.CopyFrom(graph_def)
        return replace(self, meta_graph=meta_graph)


def load_frozen(servable: str) -> FlatModel:
    """Reads a SavedModel as one flat graph whose variables are constants.

    Function calls are inlined first, so that every reader of a variable is in sight: TensorFlow's own
    `convert_variables_to_constants` leaves embedding look-ups behind whose table is an argument of a function.

    Args:
        servable: Folder of a SavedModel with the tag `serve`.

    Raises:
        FreezingError: A variable cannot become a constant.
    """
    with SavedModelSession(servable) as model:
        graph_def = model.graph.as_graph_def()
        reached = nodes.collect_ancestors(graph_def, sorted(list_kept_nodes(model.meta_graph)))
        values = _read_variables(model.graph, model.session, {node.name for node in reached})
    partly = run_grappler(FlatModel(_strip_meta_graph(model.meta_graph, graph_def), servable))
    inlined = partly.with_graph(inline_calls(partly.graph))
    return inlined.with_graph(freezing.freeze_variables(inlined.graph, values))


def _read_variables(graph: tf.Graph, session: Any, reached: set[str]) -> dict[str, Any]:
    """The value of every numeric variable that a signature reaches, by the name of its handle; others, such as those of
    an optimizer, may hold nothing."""
    operations = [op for op in graph.get_operations() if op.name in reached]
    handles = [op for op in operations if op.type == "VarHandleOp" and op.get_attr("dtype") != tf.string]
    dtypes = {op.name: op.get_attr("dtype") for op in handles}
    with graph.as_default():
        reads = {op.name: tf.raw_ops.ReadVariableOp(resource=op.outputs[0], dtype=dtypes[op.name]) for op in handles}
    reads |= {op.name: op.outputs[0] for op in operations if op.type in freezing.REFERENCE_VARIABLES}
    values: dict[str, Any] = session.run(reads)
    return values


def _strip_meta_graph(meta_graph: Any, frozen: Any) -> Any:
    """The parts of a meta graph that a frozen SavedModel has: graph, signatures, assets, how tables are initialized."""
    bare = meta_graph_pb2.MetaGraphDef()
    bare.meta_info_def.CopyFrom(meta_graph.meta_info_def)
    bare.meta_info_def.ClearField("stripped_op_list")
    bare.graph_def.CopyFrom(_make_asset_paths_constant(frozen, meta_graph.asset_file_def))
    bare.asset_file_def.extend(meta_graph.asset_file_def)
    for name, signature in meta_graph.signature_def.items():
        if name != INIT_SIGNATURE:
            bare.signature_def[name].CopyFrom(signature)
    main_op = find_main_op(meta_graph)
    if main_op:
        bare.collection_def[_MAIN_OP_COLLECTION].node_list.value.append(main_op)
    return bare


def find_main_op(meta_graph: Any) -> str | None:
    """Name of the node that initializes tables, where there is one."""
    if INIT_SIGNATURE in meta_graph.signature_def:
        return str(meta_graph.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE].name.split(":")[0])
    for collection in (_MAIN_OP_COLLECTION, _LEGACY_COLLECTION):
        if collection in meta_graph.collection_def:  # reading an absent entry of a protobuf map makes it
            names = meta_graph.collection_def[collection].node_list.value
            return str(names[0].split(":")[0]) if names else None
    return None


def _make_asset_paths_constant(graph_def: Any, assets: Any) -> Any:
    """A graph whose assets are constants that the loader overrides, as in a TensorFlow 1 SavedModel.

    TensorFlow 2 keeps an asset's path in a string variable that the initializer assigns from a placeholder; it cannot
    itself load that again once the graph has no object graph beside it.
    """
    names = {asset.tensor_info.name.split(":")[0]: asset.filename for asset in assets}
    assigned = {node.input[0]: node.input[1] for node in graph_def.node if node.op == "AssignVariableOp"}
    strings = set(_list_asset_variables(graph_def))
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph_def)
    for node in result.node:
        if node.name in names:
            node.CopyFrom(nodes.make_const_node(node.name, names[node.name].encode(), tf.string))
        elif node.op == "ReadVariableOp" and node.input[0] in strings:
            node.CopyFrom(nodes.make_identity_node(node.name, assigned[node.input[0]], tf.string))
        elif node.op == "AssignVariableOp" and node.input[0] in strings:
            node.CopyFrom(tf.compat.v1.NodeDef(name=node.name, op="NoOp"))
    return result


def run_grappler(model: FlatModel) -> FlatModel:
    """Grappler, run ahead of time: inlining, constant folding, arithmetic, layout, remapping, pruning.

    Of a graph with hundreds of megabytes of weights it sees the large ones as inputs of the same type and shape: it
    copies the graph with all of them in each of its passes, 10 GB for a model of 110 million parameters.
    """
    small, weights = _hide_large_constants(model.graph)
    meta_graph = model.with_graph(small).meta_graph
    fetches = meta_graph.collection_def["train_op"].node_list.value
    fetches.extend(sorted(list_kept_nodes(meta_graph)))
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1
    rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.TWO
    rewriting.meta_optimizer_timeout_ms = 120_000
    rewriting.fail_on_optimizer_errors = False
    return model.with_graph(_share_constants(_restore_constants(rewrite_by_grappler(config, meta_graph), weights)))


def _hide_large_constants(graph_def: Any) -> tuple[Any, dict[str, Any]]:
    """The graph with placeholders for large constants, where those are many bytes together, and these by name."""
    large = large_weights.find_large_constants(graph_def)
    if not large:
        return graph_def, {}
    result = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        result.node.append(_make_placeholder(node) if node.name in large else node)
    return result, large


def _make_placeholder(constant: Any) -> Any:
    node = tf.compat.v1.NodeDef(name=constant.name, op="Placeholder")
    node.attr["dtype"].CopyFrom(constant.attr["dtype"])
    node.attr["shape"].shape.CopyFrom(constant.attr["value"].tensor.tensor_shape)
    return node


def _restore_constants(graph_def: Any, weights: dict[str, Any]) -> Any:
    if not weights:
        return graph_def
    result = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    result.node.extend(weights.get(node.name, node) for node in graph_def.node)
    needless = {f"^{name}" for name in weights}  # nothing has to wait for a constant; Grappler took it for an input
    for node in result.node:
        if not needless.isdisjoint(node.input):
            kept = [text for text in node.input if text not in needless]
            node.ClearField("input")
            node.input.extend(kept)
    return result


def _share_constants(graph_def: Any) -> Any:
    """Keeps one of equal large constants: folding leaves a copy for each signature that reads a weight."""
    if nodes.has_loops(graph_def):  # a constant that waits for nothing is outside of every loop
        return graph_def
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph_def)
    first: dict[bytes, str] = {}  # by digest: the values may be all of the model's weights
    other: dict[str, str] = {}
    for node in result.node:
        if node.op == "Const" and nodes.count_elements(node) >= _SHARED_ELEMENTS:
            node.ClearField("input")  # a constant waits for nothing
            value = hashlib.sha256(node.attr["value"].SerializeToString(deterministic=True)).digest()
            other[node.name] = first.setdefault(value, node.name)
    for node in result.node:
        for i, text in enumerate(node.input):
            if text in other:
                node.input[i] = other[text]
    kept = [node for node in result.node if other.get(node.name, node.name) == node.name]
    del result.node[:]
    result.node.extend(kept)
    return result


def write_flat(model: FlatModel, servable: str) -> None:
    """Writes a SavedModel folder: one graph, the origin's assets and extra assets, and a checkpoint of the weights only
    where these are hundreds of megabytes; see `large_weights`."""
    meta_graph, weights = large_weights.move_out(model.meta_graph)
    _write_folder(meta_graph, model.origin, servable)
    if weights:
        checkpoint_keys.write_checkpoint(servable, weights)


def _write_folder(meta_graph: Any, origin: str, servable: str) -> None:
    folder = Path(servable)
    folder.mkdir(parents=True, exist_ok=True)
    for assets in ("assets", "assets.extra"):
        if Path(origin, assets).is_dir():
            shutil.copytree(Path(origin, assets), folder / assets, dirs_exist_ok=True)
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    saved.meta_graphs.append(meta_graph)
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))


@contextlib.contextmanager
def hold_with_constants(servable: str) -> Iterator[str]:
    """Folder of a SavedModel for a converter that cannot read the checkpoint of `write_flat`: TFLite's refuses its
    restore op, and TensorFlow's quantizer ends its process. Any other SavedModel is given as it is."""
    if not large_weights.are_outside(read_meta_graph(servable)):
        yield servable
        return
    with tempfile.TemporaryDirectory(prefix="taxiway-constants-") as folder:
        _write_folder(read_flat(servable).meta_graph, servable, folder)
        yield folder


def load_flat(servable: str) -> FlatModel:
    """A SavedModel as one flat, optimized graph of constants; one that `write_flat` wrote is only read."""
    meta_graph = read_meta_graph(servable)
    has_variables = meta_graph.HasField("object_graph_def") or Path(servable, "variables").exists()
    if has_variables and not large_weights.are_outside(meta_graph):
        return run_grappler(load_frozen(servable))
    return read_flat(servable)


def copy_extra_assets(source: str, target: str) -> None:
    """Copies `assets.extra/`, which no converter knows."""
    if Path(source, "assets.extra").is_dir():
        shutil.copytree(Path(source, "assets.extra"), Path(target, "assets.extra"), dirs_exist_ok=True)


def read_flat(servable: str) -> FlatModel:
    """A SavedModel that `write_flat` wrote, as it was before; any other as it is on disk."""
    meta_graph = read_meta_graph(servable)
    if large_weights.are_outside(meta_graph):
        meta_graph = large_weights.bring_in(meta_graph, servable)
    return FlatModel(meta_graph, servable)


def read_meta_graph(servable: str) -> Any:
    """The graph of a SavedModel and what stands around it, as it is on disk: without what lies in a checkpoint."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(Path(servable, "saved_model.pb").read_bytes())
    return saved.meta_graphs[0]


def list_signatures(servable: str) -> set[str]:
    """Names of the signatures that answer requests."""
    return {name for name in read_meta_graph(servable).signature_def if name != INIT_SIGNATURE}


def list_kept_nodes(meta_graph: Any) -> set[str]:
    """Nodes of every signature's inputs and outputs, and the one that initializes tables."""
    kept = list_signature_nodes(meta_graph)
    main_op = find_main_op(meta_graph)
    if main_op:
        kept.add(main_op)
    kept.update(asset.tensor_info.name.split(":")[0] for asset in meta_graph.asset_file_def)
    return kept


def list_signature_nodes(meta_graph: Any) -> set[str]:
    """Nodes of the inputs and outputs of every signature that answers requests."""
    signatures = [signature for name, signature in meta_graph.signature_def.items() if name != INIT_SIGNATURE]
    tensors = [t for s in signatures for t in (*s.inputs.values(), *s.outputs.values())]
    return {tensor.name.split(":")[0] for tensor in tensors}


def _list_asset_variables(graph_def: Any) -> list[str]:
    """Variables that hold the path of an asset: the loader assigns them, and the path is another on every machine."""
    variables = [node for node in graph_def.node if node.op == "VarHandleOp"]
    return [node.name for node in variables if node.attr["dtype"].type == tf.string.as_datatype_enum]


def count_executed_ops(servable: str, signature: str) -> dict[str, int]:
    """How often each operation occurs on the way to a signature's outputs; a function's body counts at every call."""
    meta_graph = read_meta_graph(servable)
    functions = {f.signature.name: f.node_def for f in meta_graph.graph_def.library.function}
    outputs = meta_graph.signature_def[signature].outputs.values()
    counts: dict[str, int] = {}
    waiting = nodes.collect_ancestors(meta_graph.graph_def, [output.name.split(":")[0] for output in outputs])
    while waiting:
        node = waiting.pop()
        counts[node.op] = counts.get(node.op, 0) + 1
        called = [value.func.name for value in node.attr.values() if value.HasField("func")]
        waiting += [inner for name in called for inner in functions.get(name, ())]
    return counts
