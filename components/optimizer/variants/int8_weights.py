"""`int8_weights`: weight matrices are stored as int8 with a scale for each column, and multiplied out at load.

TensorFlow's own weight-only preset needs XLA operations, which TensorFlow Serving does not run unless told to. Here
int8 constants, a cast and a multiplication stand where the matrix stood; the session folds them at load,
so a call computes in float32 and costs what it did.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from components.optimizer import nodes
from components.optimizer.report import Check
from components.optimizer.variants import storing

MIN_ELEMENTS = 512
_LEVELS = 127


def quantize(matrix: Any) -> tuple[Any, Any]:
    """Symmetric int8 `[n, m]` and the scale of each column, float32 `[1, m]`: `int8 * scale` is nearest the matrix."""
    scale = np.abs(matrix).max(axis=0, keepdims=True) / _LEVELS
    scale = np.where(scale == 0, 1.0, scale).astype(np.float32)
    return np.clip(np.round(matrix / scale), -_LEVELS, _LEVELS).astype(np.int8), scale


def _quantize(node: Any) -> list[Any] | None:
    value = tf.make_ndarray(node.attr["value"].tensor)
    if value.ndim != 2 or not np.isfinite(value).all():
        return None
    int8, scale = quantize(value)
    stored, cast, scales = (f"{node.name}/{part}" for part in ("int8", "cast", "scale"))
    multiply = tf.compat.v1.NodeDef(name=node.name, op="Mul", input=[cast, scales])
    multiply.attr["T"].type = tf.float32.as_datatype_enum
    return [
        nodes.const_node(stored, int8, tf.int8),
        nodes.cast_node(cast, stored, tf.int8, tf.float32),
        nodes.const_node(scales, scale, tf.float32),
        multiply,
    ]


def _check(graph: Any) -> Check:
    stored = nodes.constants(graph, tf.int8, MIN_ELEMENTS)
    left = [n for n in nodes.constants(graph, tf.float32, MIN_ELEMENTS) if len(_shape(n)) == 2 and _shape(n)[0] > 1]
    values = sum(nodes.elements(node) for node in stored)
    return Check(
        name="weights_are_int8",
        passed=bool(stored) and not left,
        detail=f"{values} values in {len(stored)} matrices are stored as int8, {len(left)} matrices as float32",
        figures={"int8_bytes": values, "float32_matrices": [node.name for node in left]},
    )


def _shape(node: Any) -> list[int]:
    return [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]


TECHNIQUE = storing.technique("int8_weights", MIN_ELEMENTS, _quantize, _check)
