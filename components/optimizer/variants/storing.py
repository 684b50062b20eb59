"""What `float16` and `int8_weights` share: weights stored smaller, and made float32 again when a servable is loaded.

What makes them float32 hangs on constants, so the session folds it when it optimizes the graph: a call costs what it
did.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from components.optimizer import graphs, nodes, slim
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop, for_both

Replace = Callable[[Any], list[Any] | None]
"""From a Const node to the nodes that stand for it, the last under its name; None leaves it."""


def technique(name: str, min_elements: int, replace: Replace, check: Callable[[Any], Check]) -> Technique:
    """A technique that replaces the float32 constants of at least so many elements.

    Args:
        name: Of the technique.
        min_elements: Smaller constants are left alone.
        replace: How one is stored.
        check: What the written graph proves.
    """

    def rewrite(source: str, target: str) -> None:
        model = graphs.flat(source)
        graph, _ = nodes.rewrite_constants(model.graph, tf.float32, min_elements, replace)
        graphs.write(model.with_graph(graph), target)

    def transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
        for_both(piece, made, rewrite)

    return Technique(name, _pre_check, transform, partial(_post_check, check), after=("frozen", "lean_inputs"))


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return slim.too_large_to_freeze(piece.servable)


def _post_check(check: Callable[[Any], Check], workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    return [check(graphs.read_flat(made.servable).graph)]
