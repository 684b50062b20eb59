"""Where each node is drawn: from top to bottom by the longest way from the beginning, across beside neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.lineage.graph import LineageGraph

WIDTH, HEIGHT = 180.0, 40.0
"""Of a node, in pixels."""
ACROSS, DOWN = 196.0, 74.0
"""From node to node."""
SWEEPS = 4
"""Passes that move nodes beside their neighbours: more of them change little."""


def positions(graph: LineageGraph) -> dict[str, tuple[float, float]]:
    """Left upper corner of every node, in pixels; linear in nodes and edges but for the sorting of each layer."""
    layers = _layers(_ranks(graph))
    across = {key: float(place) for layer in layers for place, key in enumerate(layer)}
    for sweep in range(SWEEPS):
        neighbours = {key: graph.parents(key) if sweep % 2 == 0 else graph.children(key) for key in graph.nodes}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _settle(layer, {key: [node.key for node in neighbours[key]] for key in layer}, across)
    left = min(across.values(), default=0.0)
    return {key: ((across[key] - left) * ACROSS, rank * DOWN) for rank, layer in enumerate(layers) for key in layer}


def size(places: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """Width and height of the drawing."""
    if not places:
        return WIDTH, HEIGHT
    return max(x for x, _ in places.values()) + WIDTH, max(y for _, y in places.values()) + HEIGHT


def _ranks(graph: LineageGraph) -> dict[str, int]:
    """Longest way from a node without parents (Kahn's order); what is in a circle stands after all others."""
    waiting = {key: len(graph.parents(key)) for key in graph.nodes}
    ready = [key for key, count in waiting.items() if count == 0]
    ranks = dict.fromkeys(ready, 0)
    for key in ready:  # grows while it is walked
        for child in graph.children(key):
            ranks[child.key] = max(ranks.get(child.key, 0), ranks[key] + 1)
            waiting[child.key] -= 1
            if waiting[child.key] == 0:
                ready.append(child.key)
    last = max(ranks.values(), default=0) + 1
    return {key: ranks[key] if waiting[key] == 0 else last for key in graph.nodes}


def _layers(ranks: Mapping[str, int]) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for key, rank in ranks.items():
        layers[rank].append(key)
    return layers


def _settle(layer: list[str], neighbours: Mapping[str, Sequence[str]], across: dict[str, float]) -> None:
    """Sorts a layer by the mean place of the neighbours and gives every node a place of its own near it."""

    def wish(key: str) -> float:
        near = [across[each] for each in neighbours[key]]
        return sum(near) / len(near) if near else across[key]

    wishes = {key: wish(key) for key in layer}
    layer.sort(key=lambda key: (wishes[key], key))
    free = min(wishes.values(), default=0.0) - (len(layer) - 1) / 4  # crowds spread to both sides
    for key in layer:
        across[key] = max(free, round(wishes[key] * 2) / 2)
        free = across[key] + 1
