"""`float16`: weights are stored in half precision and cast when the servable is loaded; arithmetic stays float32.

Quantiles and boundaries of the preprocessing stay as they are: a number that equals one of them would no longer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.optimizer.graphs import nodes
from taxiway.components.optimizer.graphs.index import GraphIndex
from taxiway.components.optimizer.graphs.weights import is_boundary
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared import compressed_weights

MIN_ELEMENTS = 64
_LARGEST = float(np.finfo(np.float16).max)


def _is_weight(graph: GraphIndex, name: str) -> bool:
    return not is_boundary(graph, name)


def _store_float16(node: Any) -> list[Any] | None:
    """A half-precision constant and its cast; None where a value does not fit."""
    value = tf.make_ndarray(node.attr["value"].tensor)
    if not np.all(np.abs(value) <= _LARGEST):
        return None
    stored = node.name + "/float16"
    return [
        nodes.make_const_node(stored, value.astype(np.float16), tf.float16),
        nodes.make_cast_node(node.name, stored, tf.float16, tf.float32),
    ]


def _check_weights(graph: Any) -> Check:
    halves = nodes.find_constants(graph, tf.float16, MIN_ELEMENTS)
    left = compressed_weights.list_left(graph, MIN_ELEMENTS, _is_weight)
    stored = sum(nodes.count_elements(node) for node in halves)
    return Check(
        name="weights_are_float16",
        passed=bool(halves) and not left,
        detail=f"{stored} values in {len(halves)} tensors are stored as float16, {len(left)} tensors as float32",
        figures={"float16_bytes": 2 * stored, "float32_tensors": [node.name for node in left]},
    )


TECHNIQUE = compressed_weights.build_technique(
    "float16", MIN_ELEMENTS, _is_weight, _store_float16, _check_weights, "weight"
)
