"""Lineage: what a model, a version or an artifact came from, and what it led to.

    from pipeline.lineage import LineageGraph

The graph is read from ML Metadata breadth-first through `get_events_by_artifact_ids` and `get_events_by_execution_ids`
(no filter query, no lineage subgraph: newer ML Metadata has neither for sqlite), in batches, read-only.
"""

from pipeline.lineage.graph import LineageGraph
from pipeline.lineage.nodes import Edge, Node

__all__ = ["Edge", "LineageGraph", "Node"]
