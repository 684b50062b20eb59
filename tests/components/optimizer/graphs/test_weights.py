"""Which constants of a graph are weights: real graphs, built by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.optimizer.graphs.index import GraphIndex
from taxiway.components.optimizer.graphs.weights import is_boundary, is_weight_matrix

NUMBERS = np.arange(12, dtype=np.float32).reshape(3, 4)


def build_graph(use: Callable[[Any], Any]) -> GraphIndex:
    with tf.Graph().as_default() as graph:
        use(tf.constant(NUMBERS, name="numbers"))
    return GraphIndex(graph.as_graph_def())


def feed(*shape: int | None, dtype: tf.DType = tf.float32) -> Any:
    return tf.compat.v1.placeholder(dtype, shape)


USES: dict[str, tuple[Callable[[Any], Any], bool, bool]] = {
    "a product": (lambda c: tf.matmul(feed(None, 3), c), True, False),
    "a product behind what can be fed": (
        lambda c: tf.matmul(feed(None, 3), tf.compat.v1.placeholder_with_default(c, [3, 4])),
        True,
        False,
    ),
    "a table of words": (lambda c: tf.gather(c, feed(None, dtype=tf.int32)), True, False),
    "a factor of each number": (lambda c: feed(None, 3, 4) * c, False, False),
    "quantiles that are searched": (lambda c: tf.searchsorted(c, feed(3, None)), False, True),
    "boundaries that are compared": (lambda c: feed(None, 3, 4) >= c, False, True),
    "a table for each column": (lambda c: tf.gather(c, feed(3, None, dtype=tf.int32), batch_dims=1), False, True),
    "nothing": (lambda c: c, False, False),
}


@pytest.mark.parametrize(("use", "weight", "boundary"), USES.values(), ids=USES)
def test_weights_are_told_from_boundaries(use: Callable[[Any], Any], weight: bool, boundary: bool) -> None:
    graph = build_graph(use)
    assert is_weight_matrix(graph, "numbers") is weight
    assert is_boundary(graph, "numbers") is boundary


def test_what_is_also_compared_is_no_weight() -> None:
    def use(constant: Any) -> None:
        tf.matmul(feed(None, 3), constant)
        tf.searchsorted(constant, feed(3, None))

    graph = build_graph(use)
    assert not is_weight_matrix(graph, "numbers")
    assert is_boundary(graph, "numbers")
