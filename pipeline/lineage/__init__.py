"""Lineage: what a model, a version or an artifact came from, and what it led to.

    from taxiway.pipeline.lineage import LineageGraph

`LineageGraph.open` walks ML Metadata breadth-first, in batches and read-only, through `get_events_by_artifact_ids` and
`get_events_by_execution_ids`: newer ML Metadata has neither filter queries nor lineage subgraphs for sqlite.
"""

from taxiway.pipeline.lineage.api import LineageGraph
from taxiway.pipeline.lineage.nodes import Edge, Node

__all__ = ["Edge", "LineageGraph", "Node"]
