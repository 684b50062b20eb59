"""`int8_weights`: weight matrices are stored as int8 with a scale for each column, and multiplied out at load.

TensorFlow's own weight-only preset needs XLA operations, which TensorFlow Serving does not run unless told to. Here
int8 constants, a cast and a multiplication stand where the matrix stood; the session folds them at load,
so a call computes in float32 and costs what it did. Quantiles and boundaries of the preprocessing stay as they are:
they have one row a column of the data, and a scale for all of them would move those of most columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.optimizer.graphs import nodes
from taxiway.components.optimizer.graphs.weights import is_weight_matrix
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared import compressed_weights

MIN_ELEMENTS = 512
_LEVELS = 127


def quantize_matrix(matrix: Any) -> tuple[Any, Any]:
    """Symmetric int8 `[n, m]` and the scale of each column, float32 `[1, m]`: `int8 * scale` is nearest the matrix.

    Of a tensor of more dimensions, as attention has them (width by heads by size), the largest one shares a scale.
    """
    axis = 0 if matrix.ndim == 2 else int(np.argmax(matrix.shape))
    scale = np.abs(matrix).max(axis=axis, keepdims=True) / _LEVELS
    scale = np.where(scale == 0, 1.0, scale).astype(np.float32)
    return np.clip(np.round(matrix / scale), -_LEVELS, _LEVELS).astype(np.int8), scale


def _store_int8(node: Any) -> list[Any] | None:
    value = tf.make_ndarray(node.attr["value"].tensor)
    if value.ndim < 2 or not np.isfinite(value).all():
        return None
    int8, scale = quantize_matrix(value)
    stored, cast, scales = (f"{node.name}/{part}" for part in ("int8", "cast", "scale"))
    multiply = tf.compat.v1.NodeDef(name=node.name, op="Mul", input=[cast, scales])
    multiply.attr["T"].type = tf.float32.as_datatype_enum
    return [
        nodes.make_const_node(stored, int8, tf.int8),
        nodes.make_cast_node(cast, stored, tf.int8, tf.float32),
        nodes.make_const_node(scales, scale, tf.float32),
        multiply,
    ]


def _check_weights(graph: Any) -> Check:
    stored = nodes.find_constants(graph, tf.int8, MIN_ELEMENTS)
    left = [n for n in compressed_weights.list_left(graph, MIN_ELEMENTS, is_weight_matrix) if len(_get_shape(n)) >= 2]
    values = sum(nodes.count_elements(node) for node in stored)
    return Check(
        name="weights_are_int8",
        passed=bool(stored) and not left,
        detail=f"{values} values in {len(stored)} matrices are stored as int8, {len(left)} matrices as float32",
        figures={"int8_bytes": values, "float32_matrices": [node.name for node in left]},
    )


def _get_shape(node: Any) -> list[int]:
    return [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]


TECHNIQUE = compressed_weights.build_technique(
    "int8_weights", MIN_ELEMENTS, is_weight_matrix, _store_int8, _check_weights, "weight matrix"
)
