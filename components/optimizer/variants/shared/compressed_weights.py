"""Shared by `float16` and `int8_weights`: weights are stored smaller and made float32 when a servable is loaded.

The conversion reads constants only, so the session folds it when it optimizes the graph: a call costs what it did.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext, rewrite_whole_and_core
from taxiway.components.optimizer.graphs import nodes, saved_model
from taxiway.components.optimizer.graphs.index import GraphIndex
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_large_graph
from taxiway.components.refusal import Refusal

Replace = Callable[[Any], list[Any] | None]
"""From a Const node to the nodes that replace it, the last under its name; None leaves it."""
Choose = Callable[[GraphIndex, str], bool]
"""Whether the constant of a name may be stored smaller: a boundary of the preprocessing may not."""


def build_technique(
    name: str, min_elements: int, choose: Choose, replace: Replace, check: Callable[[Any], Check], what: str
) -> Technique:
    """A technique that replaces the chosen float32 constants of at least so many elements.

    Args:
        name: Name of the technique.
        min_elements: Least number of elements; smaller constants are left alone.
        choose: Function that says which constants are weights.
        replace: Function that gives the nodes in which a constant is stored.
        check: Function that verifies the written graph.
        what: What the chosen constants are called where there is none.
    """

    def rewrite_servable(source: str, target: str) -> Refusal | None:
        model = saved_model.load_flat(source)
        index = GraphIndex(model.graph)

        def replace_chosen(node: Any) -> list[Any] | None:
            return replace(node) if choose(index, node.name) else None

        graph, replaced = nodes.rewrite_constants(model.graph, tf.float32, min_elements, replace_chosen)
        if not replaced and not list_left(model.graph, min_elements, choose):
            return Refusal(f"nothing to do: the model has no {what} of {min_elements} numbers or more in float32")
        saved_model.write_flat(model.with_graph(graph), target)
        return None

    def transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
        return rewrite_whole_and_core(candidate, target, rewrite_servable)

    return Technique(
        name, refuse_large_graph, transform_model, partial(_post_check, check), after=("frozen", "lean_inputs")
    )


def list_left(graph: Any, min_elements: int, choose: Choose) -> list[Any]:
    """The chosen constants that are stored as float32."""
    index = GraphIndex(graph)
    return [node for node in nodes.find_constants(graph, tf.float32, min_elements) if choose(index, node.name)]


def _post_check(
    check: Callable[[Any], Check], context: TechniqueContext, candidate: CandidateModel, target: CandidateModel
) -> list[Check]:
    return [check(saved_model.read_flat(target.servable).graph)]
