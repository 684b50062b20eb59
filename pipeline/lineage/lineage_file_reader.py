"""Reads `lineage.json`, the lineage that a version carries with it; no database is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxiway.components.contract import LINEAGE_FILE
from taxiway.components.errors import StoreError
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Edge, Node

LED_TO_VERSION = {"Model": "pushed", "ModelBlessing": "allowed", "InfraBlessing": "allowed"}
"""Types of the artifacts that a push reads, and the label of the edge from each to the version."""


def read_version_lineage(version: Node) -> NodeGraph | None:
    """Reads the graph in a version's folder and joins it to the version; None where the folder holds none.

    Raises:
        StoreError: The file is damaged.
        UsageError: It is of a newer Taxiway.
    """
    file = Path(version.uri, LINEAGE_FILE)
    if not file.is_file():
        return None
    try:
        content: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        graph = NodeGraph.from_json(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{file} is damaged: {error}.", "Copy it again; see: taxiway verify FOLDER") from error
    joins = [Edge(key, version.key, LED_TO_VERSION.get(graph.nodes[key].type, "")) for key in graph.focus]
    return NodeGraph([*graph.nodes.values(), version], [*graph.edges, *joins], [version.key], graph.steps)
