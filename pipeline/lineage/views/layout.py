"""Positions of nodes in a drawing: rows by the longest path from a node without parents, columns near neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taxiway.pipeline.lineage.graph import NodeGraph

WIDTH, HEIGHT = 180.0, 40.0
"""Size of a node, in pixels."""
ACROSS, DOWN = 196.0, 74.0
"""Distances between nodes, in pixels."""
SWEEPS = 4
"""Passes that move nodes near their neighbours; more passes change little."""


def place_nodes(graph: NodeGraph) -> dict[str, tuple[float, float]]:
    """Upper left corner of every node, in pixels. The time is linear in nodes and edges, but for sorting each layer."""
    layers = _group_layers(_rank_nodes(graph))
    across = {key: float(place) for layer in layers for place, key in enumerate(layer)}
    for sweep in range(SWEEPS):
        neighbours = {key: graph.parents(key) if sweep % 2 == 0 else graph.children(key) for key in graph.nodes}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _arrange_layer(layer, {key: [node.key for node in neighbours[key]] for key in layer}, across)
    left = min(across.values(), default=0.0)
    return {key: ((across[key] - left) * ACROSS, rank * DOWN) for rank, layer in enumerate(layers) for key in layer}


def measure_drawing(places: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """Width and height of the drawing."""
    if not places:
        return WIDTH, HEIGHT
    return max(x for x, _ in places.values()) + WIDTH, max(y for _, y in places.values()) + HEIGHT


def _rank_nodes(graph: NodeGraph) -> dict[str, int]:
    """Length of the longest path from a node without parents. The nodes of a circle share a rank."""
    import networkx  # a quarter of a second that only drawings need

    condensed = networkx.condensation(graph.to_networkx())
    generations = networkx.topological_generations(condensed)
    ranks = {
        key: rank
        for rank, components in enumerate(generations)
        for component in components
        for key in condensed.nodes[component]["members"]
    }
    return {key: ranks[key] for key in graph.nodes}  # members are sets: the order of the graph is the same every time


def _group_layers(ranks: Mapping[str, int]) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for key, rank in ranks.items():
        layers[rank].append(key)
    return layers


def _arrange_layer(layer: list[str], neighbours: Mapping[str, Sequence[str]], across: dict[str, float]) -> None:
    """Sorts a layer by the mean position of the neighbours and gives every node a position of its own near it."""

    def mean_position(key: str) -> float:
        near = [across[each] for each in neighbours[key]]
        return sum(near) / len(near) if near else across[key]

    wishes = {key: mean_position(key) for key in layer}
    layer.sort(key=lambda key: (wishes[key], key))
    free = min(wishes.values(), default=0.0) - (len(layer) - 1) / 4  # crowds spread to both sides
    for key in layer:
        across[key] = max(free, round(wishes[key] * 2) / 2)
        free = across[key] + 1
