"""`float16`: weights are stored in half precision and cast when the servable is loaded; arithmetic stays float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from components.optimizer import nodes
from components.optimizer.report import Check
from components.optimizer.variants import storing

MIN_ELEMENTS = 64
_LARGEST = float(np.finfo(np.float16).max)


def _halve(node: Any) -> list[Any] | None:
    """A half-precision constant and its cast; None where a value does not fit."""
    value = tf.make_ndarray(node.attr["value"].tensor)
    if not np.all(np.abs(value) <= _LARGEST):
        return None
    stored = node.name + "/float16"
    return [
        nodes.const_node(stored, value.astype(np.float16), tf.float16),
        nodes.cast_node(node.name, stored, tf.float16, tf.float32),
    ]


def _check(graph: Any) -> Check:
    halves = nodes.constants(graph, tf.float16, MIN_ELEMENTS)
    left = nodes.constants(graph, tf.float32, MIN_ELEMENTS)
    stored = sum(nodes.elements(node) for node in halves)
    return Check(
        name="weights_are_float16",
        passed=bool(halves) and not left,
        detail=f"{stored} values in {len(halves)} tensors are stored as float16, {len(left)} tensors as float32",
        figures={"float16_bytes": 2 * stored, "float32_tensors": [node.name for node in left]},
    )


TECHNIQUE = storing.technique("float16", MIN_ELEMENTS, _halve, _check)
