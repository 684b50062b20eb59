"""What of a SavedModel's variables the signatures read: an optimizer's slots must not fake compression."""

from __future__ import annotations

import shutil
from math import prod
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from components.optimizer import graphs, nodes
from components.optimizer.variants.base import Piece

_OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
FOLDER = "slim"
GRAPH_LIMIT_BYTES = 2**31 - 2**20  # of a protobuf message, less what is around the constants


def variable_bytes(servable: str) -> int:
    """Bytes of all variables in a SavedModel's checkpoint; 0 where it has none."""
    prefix = Path(servable, "variables", "variables")
    if not prefix.with_name("variables.index").exists():
        return 0
    reader = tf.train.load_checkpoint(str(prefix))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    return sum(prod(shape) * max(dtypes[name].size, 1) for name, shape in shapes.items())


def folder_of(piece: Piece) -> str:
    """The reference without what no signature reads: the copy where there is one. Sizes are compared with it."""
    copy = Path(piece.uri, FOLDER)
    return str(copy) if copy.exists() else piece.servable


def write_slim(servable: str, folder: str) -> int:
    """Copies a SavedModel without the variables that no signature reads, such as an optimizer's slots.

    Sizes are compared with this copy: against a model saved with its optimizer any variant looks like compression.

    Returns:
        Bytes left out. Where that is 0 nothing is written.
    """
    prefix = Path(servable, "variables", "variables")
    if not prefix.with_name("variables.index").exists():
        return 0
    reader = tf.train.load_checkpoint(str(prefix))
    used = _used_keys(servable, reader)
    keys = [key for key in reader.get_variable_to_shape_map() if key != _OBJECT_GRAPH_KEY]
    unused = [key for key in keys if key not in used]
    if not unused:
        return 0
    shutil.copytree(servable, folder, ignore=shutil.ignore_patterns("variables"))
    target = Path(folder, "variables", "variables")
    target.parent.mkdir()
    kept = [key for key in keys if key in used]
    tensors = [reader.get_tensor(key) for key in kept]
    tf.raw_ops.SaveV2(
        prefix=str(target),
        tensor_names=kept,
        shape_and_slices=[""] * len(kept),
        tensors=tensors,
    )
    return sum(reader.get_tensor(key).nbytes for key in unused)


def _used_keys(servable: str, reader: Any) -> set[str]:
    """Checkpoint keys of the variables that a signature reaches."""
    meta_graph = graphs.read_flat(servable).meta_graph
    reached = nodes.reached(meta_graph.graph_def, sorted(graphs.signature_nodes(meta_graph)))
    names = {node.attr["shared_name"].s.decode() or node.name for node in reached if node.op == "VarHandleOp"}
    tracked = trackable_object_graph_pb2.TrackableObjectGraph()
    tracked.ParseFromString(reader.get_tensor(_OBJECT_GRAPH_KEY))
    attributes = [attribute for node in tracked.nodes for attribute in node.attributes]
    return {a.checkpoint_key for a in attributes if a.full_name in names}


def too_large_to_freeze(servable: str) -> str:
    """Why a SavedModel cannot be one graph message; empty where it can."""
    size = variable_bytes(servable)
    if size <= GRAPH_LIMIT_BYTES:
        return ""
    return f"its variables are {size / 1e9:.2f} GB, and a graph of constants holds {GRAPH_LIMIT_BYTES / 1e9:.2f} GB"
