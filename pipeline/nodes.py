"""The ids of the pipeline's nodes, in the order in which they run: what `--from` and `--to` may name. No tfx."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from taxiway.components.errors import UsageError, suggest_matches

EXPLAINER = "ModelExplainer"
NODES = (
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "Baseline",
    "Tuner",
    "Trainer",
    "Evaluator",
    "ModelOptimizer",
    "OptimizedEvaluator",
    "ServingValidator",
    "Pusher",
    EXPLAINER,
)
"""As `taxiway.pipeline.dag.create_pipeline` makes them."""
ROLES = {
    "example_gen": "ExampleGen",
    "statistics_gen": "StatisticsGen",
    "schema_gen": "SchemaGen",
    "example_validator": "ExampleValidator",
    "data_gate": "DataGate",
    "transform": "Transform",
    "baseline": "Baseline",
    "tuner": "Tuner",
    "trainer": "Trainer",
    "evaluator": "Evaluator",
    "optimizer": "ModelOptimizer",
    "optimized_evaluator": "OptimizedEvaluator",
    "validator": "ServingValidator",
    "pusher": "Pusher",
    "explainer": EXPLAINER,
}
"""Node ids by the argument of `create_pipeline` that puts another node in the place."""
OPTIONAL_NODES = {
    "Tuner": "Set tuning.enabled: true, or call taxiway tune.",
    EXPLAINER: "Set explanation.enabled: true.",
}
"""Those that the pipeline has only where the configuration asks for them, and how it does."""


def check_node_range(
    from_node: str | None, to_node: str | None, left_out: Collection[str] = (), known: Sequence[str] | None = None
) -> None:
    """Refuses a part of the pipeline whose ends are no nodes, or stand the wrong way round.

    Args:
        from_node: First node of the part.
        to_node: Last node of the part.
        left_out: Nodes that the configuration does not ask for.
        known: Ids of the pipeline's nodes, in the order in which they run; None: those of ours.

    Raises:
        UsageError: It names what is accepted.
    """
    known = NODES if known is None else known
    for option, node in (("--from", from_node), ("--to", to_node)):
        if node is not None and node not in known:
            raise UsageError(f"{option} {node!r}: the pipeline has no such node.", suggest_matches(node, known))
        if node and node in left_out:
            raise UsageError(f"{option} {node!r}: this configuration has no such node.", OPTIONAL_NODES[node])
    if from_node and to_node and known.index(from_node) > known.index(to_node):
        raise UsageError(f"--from {from_node} comes after --to {to_node}.", f"In order: {', '.join(known)}.")
