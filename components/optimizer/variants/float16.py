"""`float16`: weights are stored in half precision and cast when the servable is loaded; arithmetic stays float32.

The casts hang on constants, so the session folds them when it optimizes the graph: a call costs what it did.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from components.optimizer import graphs
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop, for_both

MIN_ELEMENTS = 64
_LARGEST = float(np.finfo(np.float16).max)


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return graphs.too_large_to_freeze(piece.servable)


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    for_both(piece, made, _rewrite)


def _rewrite(source: str, target: str) -> None:
    model = graphs.optimize(graphs.load_frozen(source))
    halved, _ = graphs.rewrite_constants(model.graph, tf.float32, MIN_ELEMENTS, _halve)
    graphs.write(model.with_graph(halved), target)


def _halve(node: Any) -> list[Any] | None:
    """A half-precision constant and its cast; None where a value does not fit."""
    value = tf.make_ndarray(node.attr["value"].tensor)
    if not np.all(np.abs(value) <= _LARGEST):
        return None
    stored = node.name + "/float16"
    return [
        graphs.const_node(stored, value.astype(np.float16), tf.float16),
        graphs.cast_node(node.name, stored, tf.float16, tf.float32),
    ]


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    graph = graphs.read_flat(made.servable).graph
    halves = graphs.constants(graph, tf.float16, MIN_ELEMENTS)
    left = graphs.constants(graph, tf.float32, MIN_ELEMENTS)
    stored = sum(graphs.elements(node) for node in halves)
    return [
        Check(
            name="weights_are_float16",
            passed=bool(halves) and not left,
            detail=f"{stored} values in {len(halves)} tensors are stored as float16, {len(left)} tensors as float32",
            figures={"float16_bytes": 2 * stored, "float32_tensors": [node.name for node in left]},
        )
    ]


TECHNIQUE = Technique("float16", _pre_check, _transform, _post_check)
