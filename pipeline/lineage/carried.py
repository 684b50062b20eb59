"""The lineage that a version carries with it: written before the push, read where there is no database.

The Pusher puts the file that an environment variable names beside the version's provenance
(`assets.extra/lineage.json`), under the manifest like every other file: the story goes wherever the folder is copied.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.contract import LINEAGE_FILE, LINEAGE_VARIABLE
from components.errors import StoreError, TaxiwayError
from pipeline.layout import Root
from pipeline.lineage.graph import LineageGraph
from pipeline.lineage.nodes import Edge, Node

PUSHER = "Pusher"
LONG = 300
"""Longer values of properties stay behind: the steps tell what is asked of them."""
LED_TO_IT = {"Model": "pushed", "ModelBlessing": "allowed", "InfraBlessing": "allowed"}
"""What a push reads, and the words on the edge to the version."""


def prepare(root: Root, run_id: str) -> None:
    """Writes what is known before the push, and tells the Pusher where it lies. A push never fails for it."""
    os.environ.pop(LINEAGE_VARIABLE, None)
    try:
        content = of_run(root, run_id)
        file = root.run(run_id) / Path(LINEAGE_FILE).name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, default=str, separators=(",", ":")), encoding="utf-8")
    except (TaxiwayError, OSError):  # the version's provenance still tells the run
        return
    os.environ[LINEAGE_VARIABLE] = str(file)


def of_run(root: Root, run_id: str) -> dict[str, Any]:
    """Graph and steps of everything that a run did so far and came from, as JSON.

    Raises:
        UsageError: Nothing is known of the run.
        StoreError: The store is damaged or locked.
    """
    from pipeline.lineage import story

    graph = LineageGraph.open(root.path, run_id)
    steps = [step.to_json() for step in story.steps(graph, root) if step.state != "CACHED"]
    kept = [_short(node) for node in graph.where() if node.state != "CACHED"]
    consumed = {edge.source for edge in graph.edges if edge.target in {node.key for node in kept}}
    made = LineageGraph(kept, graph.edges)
    ends = [node for node in made.where(kind="artifact") if node.type in LED_TO_IT and node.key not in consumed]
    focus = [node.key for node in [*_model(made), *ends]]
    return {**LineageGraph(kept, graph.edges, dict.fromkeys(focus)).to_json(), "steps": steps}


def _model(graph: LineageGraph) -> list[Node]:
    """The model that is pushed: the optimizer's, which validators have read too, else the newest."""
    models = graph.where(type="Model", matches=lambda node: "kind" not in node.properties)  # the baseline's has one
    optimized = [node for node in models if any(maker.name == "ModelOptimizer" for maker in graph.parents(node.key))]
    return (optimized or models)[-1:]


def _short(node: Node) -> Node:
    known = {name: value for name, value in node.properties.items() if len(str(value)) <= LONG}
    return dataclasses.replace(node, properties=known)


def of_version(version: Node) -> LineageGraph | None:
    """The graph that a version's folder carries, led up to the version; None where it carries none.

    Raises:
        StoreError: The file is damaged.
        UsageError: It is of a newer Taxiway.
    """
    file = Path(version.uri, LINEAGE_FILE)
    if not file.is_file():
        return None
    try:
        content: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        graph = LineageGraph.from_json(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{file} is damaged: {error}.", "Copy it again; see: taxiway verify FOLDER") from error
    joins = [Edge(key, version.key, LED_TO_IT.get(graph.nodes[key].type, "")) for key in graph.focus]
    return LineageGraph([*graph.nodes.values(), version], [*graph.edges, *joins], [version.key], graph.told)
