"""Writes `lineage.json`, the lineage that a version carries with it, before the version is pushed.

The Pusher copies the file that an environment variable names into the version (`assets.extra/lineage.json`), under the
manifest like every other file: the lineage goes wherever the folder is copied.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from taxiway.components.contract import LINEAGE_FILE, LINEAGE_VARIABLE
from taxiway.components.errors import TaxiwayError
from taxiway.components.files.durable_files import replace_file
from taxiway.pipeline.lineage import query
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.lineage_file_reader import LED_TO_VERSION
from taxiway.pipeline.lineage.nodes import Node
from taxiway.pipeline.lineage.steps import list_steps
from taxiway.pipeline.root import Root

PUSHER = "Pusher"
"""The node before which the file is written."""
LONG = 300
"""Longer values of properties are left out: the steps hold the facts that people ask for."""


def prepare_lineage(root: Root, run_id: str) -> None:
    """Writes the lineage of a run so far, and sets the variable that tells the Pusher the file.

    A push never fails for want of it: what cannot be read or written leaves the variable unset.
    """
    os.environ.pop(LINEAGE_VARIABLE, None)
    try:
        content = collect_run_lineage(root, run_id)
        file = root.run_folder(run_id) / Path(LINEAGE_FILE).name
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, json.dumps(content, default=str, separators=(",", ":")))
    except (TaxiwayError, OSError):  # the version's provenance still names the run
        return
    os.environ[LINEAGE_VARIABLE] = str(file)


def collect_run_lineage(root: Root, run_id: str) -> dict[str, Any]:
    """The graph and the steps of what a run did so far, and of what that came from, as JSON values.

    Raises:
        UsageError: Nothing is known of the run.
        StoreError: The store is damaged or locked.
    """
    graph = query.open_lineage(root.path, run_id)
    steps = [step.to_json() for step in list_steps(graph, root) if step.state != "CACHED"]
    kept = [_drop_long_properties(node) for node in graph.where() if node.state != "CACHED"]
    consumed = {edge.source for edge in graph.edges if edge.target in {node.key for node in kept}}
    worked = NodeGraph(kept, graph.edges)
    ends = [node for node in worked.where(kind="artifact") if node.type in LED_TO_VERSION and node.key not in consumed]
    focus = [node.key for node in [*_find_pushed_node(worked), *ends]]
    return {**NodeGraph(kept, graph.edges, dict.fromkeys(focus)).to_json(), "steps": steps}


def _find_pushed_node(graph: NodeGraph) -> list[Node]:
    """The model that the Pusher will read: the optimizer's, else the newest. Only the baseline's has a `kind`."""
    models = graph.where(type="Model", matches=lambda node: "kind" not in node.properties)
    optimized = [node for node in models if any(maker.name == "ModelOptimizer" for maker in graph.parents(node.key))]
    return (optimized or models)[-1:]


def _drop_long_properties(node: Node) -> Node:
    short = {name: value for name, value in node.properties.items() if len(str(value)) <= LONG}
    return dataclasses.replace(node, properties=short)
