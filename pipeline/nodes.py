"""The ids of the pipeline's nodes, in the order in which they run: what `--from` and `--to` may name. No tfx."""

from __future__ import annotations

from components.errors import UsageError, close_matches

NODES = (
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "Baseline",
    "Trainer",
    "Evaluator",
    "ModelOptimizer",
    "OptimizedEvaluator",
    "ServingValidator",
    "Pusher",
)
"""As `pipeline.dag.create_pipeline` makes them."""


def check_part(from_node: str | None, to_node: str | None) -> None:
    """Refuses a part of the pipeline whose ends are no nodes, or stand the wrong way round.

    Raises:
        UsageError: names what is accepted.
    """
    for option, node in (("--from", from_node), ("--to", to_node)):
        if node is not None and node not in NODES:
            raise UsageError(f"{option} {node!r}: the pipeline has no such node.", close_matches(node, NODES))
    if from_node and to_node and NODES.index(from_node) > NODES.index(to_node):
        raise UsageError(f"--from {from_node} comes after --to {to_node}.", f"In order: {', '.join(NODES)}.")
