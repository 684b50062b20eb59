"""Lineage as Graphviz's DOT."""

from __future__ import annotations

from components.printable_text import visible, visible_lines
from pipeline.lineage.graph import LineageGraph
from pipeline.lineage.nodes import Node

SHAPES = {"data": "cylinder", "artifact": "box", "execution": "ellipse", "version": "house"}
FILLS = {"data": "#fff3d6", "artifact": "#e3ecfb", "execution": "#e4f5ea", "version": "#f7e1f0"}


def render(graph: LineageGraph) -> str:
    """The graph as DOT, left to right; what was asked for has a thick border."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [style="filled,rounded", fontname="sans-serif"];']
    lines += [f"  {_quoted(node.key)} [{_attributes(node, node.key in graph.focus)}];" for node in graph.where()]
    lines += [f"  {_quoted(e.source)} -> {_quoted(e.target)} [label={_quoted(e.label)}];" for e in graph.edges]
    return "\n".join([*lines, "}", ""])


def _attributes(node: Node, focused: bool) -> str:
    label = f"{visible(node.name)}\n#{node.id}" if node.id else visible(node.name)
    shown = {"label": label, "shape": SHAPES[node.kind], "fillcolor": FILLS[node.kind], "tooltip": node.uri or node.key}
    if focused:
        shown["penwidth"] = "3"
    return ", ".join(f"{name}={_quoted(value)}" for name, value in shown.items())


def _quoted(text: str) -> str:
    escaped = visible_lines(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
