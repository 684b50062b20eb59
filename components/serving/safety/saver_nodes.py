"""What a SavedModel's saver may do: read the model's own variables when it is loaded, and nothing else.

A loader runs `SaverDef.restore_op_name` with the checkpoint's path fed to `SaverDef.filename_tensor_name`. Both are
names that the file brings: a restore op with a control input on a `SaveV2` of a constant path writes that path when
the model is loaded. So:

- the prefix of every saving and restoring op comes from the filename tensor, through the arguments of plain calls;
- what the restore op needs holds no saving op;
- no saving or restoring op is needed by a signature or by an initializer, which run on requests and without the feed.

Imports nothing of TensorFlow: it works on the protos that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from taxiway.components.serving.safety.graph_functions import find_called_functions, map_callers

SAVING = frozenset(("SaveV2", "MergeV2Checkpoints"))
OPS = SAVING | {"RestoreV2", "ShardedFilename"}
"""Allowed in what the SaverDef runs, and nowhere else."""
_PATHS = {"SaveV2": (0,), "RestoreV2": (0,), "ShardedFilename": (0,), "MergeV2Checkpoints": (0, 1)}
"""Positions of the inputs that say where."""
_PLAIN_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_SAME = ("Identity",)
_JOINED = ("StringJoin", "ShardedFilename")
_FILENAME_OPS = ("Placeholder", "PlaceholderWithDefault", "Const")
_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op", "saved_model_train_op")


def get_source_name(name: str) -> str:
    """The node, or the function's argument, that an input comes from."""
    return name.removeprefix("^").split(":")[0]


def check_saver(meta_graph: Any) -> list[str]:
    """What is wrong with a graph's saver, one sentence each.

    Args:
        meta_graph: A `MetaGraphDef`.
    """
    return list(_SaverGraph(meta_graph).list_problems())


def find_nodes_without_assets(meta_graph: Any) -> tuple[set[str], set[str]]:
    """Nodes of the graph and functions that saving, restoring and requests run: there no loader feeds assets' paths."""
    return _SaverGraph(meta_graph).list_without_assets()


class _SaverGraph:
    def __init__(self, meta_graph: Any) -> None:
        definition = meta_graph.saver_def
        self._main = meta_graph.graph_def.node
        self._nodes = {node.name: node for node in self._main}
        self._functions = {f.signature.name: f for f in meta_graph.graph_def.library.function}
        self._bodies = {name: {node.name: node for node in f.node_def} for name, f in self._functions.items()}
        self._calls_of = {name: find_called_functions(f.node_def) for name, f in self._functions.items()}
        self._filename = get_source_name(definition.filename_tensor_name)
        self._save = self._find_needed([definition.save_tensor_name])
        self._restore = self._find_needed([definition.restore_op_name])
        self._run = self._find_needed(_list_run_names(meta_graph))
        # Apart from the initializer, which the loader runs with the assets' paths fed.
        self._asked = self._find_needed(_list_outputs(meta_graph, without=_INIT_SIGNATURE))
        self._callers = map_callers(meta_graph.graph_def)

    def _find_needed(self, names: Iterable[str]) -> set[str]:
        """The nodes of the main graph from which others are computed, control inputs too, and themselves."""
        pending, needed = [get_source_name(name) for name in names], set[str]()
        while pending:
            name = pending.pop()
            if name in self._nodes and name not in needed:
                needed.add(name)
                pending += [get_source_name(each) for each in self._nodes[name].input]
        return needed

    def _find_reached(self, nodes: Iterable[str]) -> set[str]:
        """Functions that run where these nodes of the main graph do."""
        pending = list(find_called_functions(self._nodes[name] for name in nodes))
        reached = set[str]()
        while pending:
            name = pending.pop()
            if name in self._calls_of and name not in reached:
                reached.add(name)
                pending += self._calls_of[name]
        return reached

    def list_without_assets(self) -> tuple[set[str], set[str]]:
        """See `find_nodes_without_assets`."""
        nodes = self._save | self._restore | self._asked
        return nodes, self._find_reached(nodes)

    def list_problems(self) -> Iterator[str]:
        """One sentence for every op that is not where, or not as, it should be."""
        yield from self._check_names()
        # A function counts as the saver's only if nothing else calls it: its body cannot tell who does.
        others = self._find_reached(set(self._nodes) - self._save - self._restore)
        run, saved, restored = (self._find_reached(each) for each in (self._run, self._save, self._restore))
        for node in self._main:
            if node.op in OPS:
                on = (node.name in self._save, node.name in self._restore, node.name in self._run)
                yield from self._check_node(node, None, "the graph", *on)
        for name, function in self._functions.items():
            for node in function.node_def:
                if node.op in OPS:
                    on = (name in saved - others, name in restored - others, name in run)
                    yield from self._check_node(node, function, f"the function {name}", *on)

    def _check_names(self) -> Iterator[str]:
        if len(self._nodes) < len(self._main):
            yield "two nodes of the graph have one name"
        if self._filename and self._nodes.get(self._filename) is not None:
            op = self._nodes[self._filename].op
            if op not in _FILENAME_OPS:
                yield f"the saver's filename tensor is computed by {op}: no loader could say the path"

    def _check_node(
        self, node: Any, owner: Any, where: str, on_save: bool, on_restore: bool, on_run: bool
    ) -> Iterator[str]:
        called = f"{node.op} ({node.name} in {where})"
        if not (on_save or on_restore):
            yield f"{called} reads or writes files outside the saver"
        elif on_run:
            yield f"{called} reads or writes files where a signature or an initializer runs"
        # Loading runs the restore op: a save op behind it, even by a control input, would write at that moment.
        elif on_restore and node.op in SAVING:
            yield f"{called} writes files when the model is loaded"
        elif not all(
            position < len(node.input) and self._is_path(node.input[position], owner, joined=not on_restore)
            for position in _PATHS[node.op]
        ):
            yield f"{called} has a path that is not the saver's filename"

    def _is_path(self, tensor: str, owner: Any, joined: bool) -> bool:
        """Whether a tensor is the saver's filename; with `joined` one that begins with it and does not leave it.

        Every origin is visited once: there may be exponentially many paths to it.
        """
        pending, seen = [(owner, tensor)], set[tuple[str, str]]()
        while pending:
            owner, tensor = pending.pop()
            place = (owner.signature.name if owner is not None else "", get_source_name(tensor))
            if place not in seen:
                seen.add(place)
                origins = None if tensor.startswith("^") else self._find_origins(place[1], owner, joined)
                if origins is None:
                    return False
                pending += origins
        return True

    def _find_origins(self, name: str, owner: Any, joined: bool) -> list[tuple[Any, str]] | None:
        """What all has to be a path for a tensor to be one; None where it is none."""
        body = self._bodies[owner.signature.name] if owner is not None else self._nodes
        arguments = [] if owner is None else [argument.name for argument in owner.signature.input_arg]
        if name in arguments:
            # A node that has the name of an argument makes the name ambiguous: refused.
            return None if name in body else self._find_call_inputs(owner, arguments.index(name))
        if owner is None and name == self._filename:
            return []
        passed = _find_path_inputs(body[name], body, joined) if name in body else []
        return [(owner, each) for each in passed] or None

    def _find_call_inputs(self, function: Any, index: int) -> list[tuple[Any, str]] | None:
        """What every call gives for an argument; None where there is none, or one is no plain call."""
        calls = self._callers.get(function.signature.name, [])
        # Other ops that call functions (If, While, Map...) pass their inputs in an order of their own.
        if not all(node.op in _PLAIN_CALLS and index < len(node.input) for _, node in calls):
            return None
        return [(owner, node.input[index]) for owner, node in calls] or None


def _find_path_inputs(node: Any, body: Mapping[str, Any], joined: bool) -> list[str]:
    """The inputs that all have to be a path for the node's output to be one; none where it never is."""
    inputs = [each for each in node.input if not each.startswith("^")]
    if node.op in _SAME:
        return inputs[:1]
    if joined and node.op == "Pack":
        return inputs
    # Only the first part decides the folder, as long as the others hold no `..`.
    if joined and node.op in _JOINED and not any(_leaves_folder(body, each) for each in inputs[1:]):
        return inputs[:1]
    return []


def _list_run_names(meta_graph: Any) -> Iterator[str]:
    """What servers run: the signatures' outputs and the initializers."""
    yield from _list_outputs(meta_graph)
    for key in _INIT_COLLECTIONS:
        if key in meta_graph.collection_def:
            yield from meta_graph.collection_def[key].node_list.value
    yield from (asset.tensor_info.name for asset in meta_graph.asset_file_def)


def _list_outputs(meta_graph: Any, without: str = "") -> Iterator[str]:
    for name, signature in meta_graph.signature_def.items():
        for info in signature.outputs.values() if name != without else ():
            yield info.name
            yield from (info.coo_sparse.values_tensor_name, info.coo_sparse.indices_tensor_name)
            yield info.coo_sparse.dense_shape_tensor_name
            # A signature's output may be sparse or composite: each of its parts is computed on a request.
            yield from (component.name for component in info.composite_tensor.components)


def _leaves_folder(body: Mapping[str, Any], tensor: str) -> bool:
    """Whether the text that is put behind a path may lead out of its folder: `..` in a constant that it comes from."""
    pending, seen = [get_source_name(tensor)], set[str]()
    while pending:
        name = pending.pop()
        if name in body and name not in seen:
            seen.add(name)
            node = body[name]
            # A constant's text is in `string_val` or, packed, in `tensor_content`.
            tensor_proto = node.attr["value"].tensor if "value" in node.attr else None
            if tensor_proto and any(b".." in t for t in (*tensor_proto.string_val, tensor_proto.tensor_content)):
                return True
            pending += [get_source_name(each) for each in node.input]
    return False
