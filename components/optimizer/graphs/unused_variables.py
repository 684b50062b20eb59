"""Removes variables that no signature reads: an optimizer's slots must not pass for compression."""

from __future__ import annotations

import shutil
from math import prod
from pathlib import Path

import tensorflow as tf

from taxiway.components.optimizer.candidate import CandidateModel
from taxiway.components.optimizer.graphs import checkpoint_keys, nodes, saved_model

FOLDER = "without_unused_variables"


def count_variable_bytes(servable: str) -> int:
    """Bytes of all variables in a SavedModel's checkpoint; 0 where it has none."""
    prefix = Path(servable, "variables", "variables")
    if not prefix.with_name("variables.index").exists():
        return 0
    reader = tf.train.load_checkpoint(str(prefix))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    return sum(prod(shape) * max(dtypes[name].size, 1) for name, shape in shapes.items())


def find_stripped_servable(candidate: CandidateModel) -> str:
    """The copy of the reference without unused variables, where there is one: sizes are compared with it."""
    copy = Path(candidate.uri, FOLDER)
    return str(copy) if copy.exists() else candidate.servable


def strip_unused_variables(servable: str, folder: str) -> None:
    """Copies a SavedModel without the variables that no signature reads, such as an optimizer's slots.

    Sizes are compared with this copy: against a model saved with its optimizer any variant looks like compression.
    Where every variable is read, or it is not known which are, nothing is written.
    """
    prefix = Path(servable, "variables", "variables")
    if not prefix.with_name("variables.index").exists():
        return
    reader = tf.train.load_checkpoint(str(prefix))
    used = _list_used_keys(servable)
    keys = [key for key in reader.get_variable_to_shape_map() if key != checkpoint_keys.OBJECT_GRAPH_KEY]
    kept = [key for key in keys if key in used]
    if kept and kept != keys:
        shutil.copytree(servable, folder, ignore=shutil.ignore_patterns("variables"))
        checkpoint_keys.write_checkpoint(folder, {key: reader.get_tensor(key) for key in kept})


def _list_used_keys(servable: str) -> set[str]:
    """Checkpoint keys of the variables that a signature reaches."""
    meta_graph = saved_model.read_meta_graph(servable)
    reached = nodes.collect_ancestors(meta_graph.graph_def, sorted(saved_model.list_signature_nodes(meta_graph)))
    names = {node.name for node in reached}
    return {key for name, key in checkpoint_keys.map_checkpoint_keys(meta_graph).items() if name in names}
