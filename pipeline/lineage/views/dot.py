"""Lineage as Graphviz's DOT."""

from __future__ import annotations

from taxiway.components.text.printable import escape_multiline, escape_text
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Node

SHAPES = {"data": "cylinder", "artifact": "box", "execution": "ellipse", "version": "house"}
FILLS = {"data": "#fff3d6", "artifact": "#e3ecfb", "execution": "#e4f5ea", "version": "#f7e1f0"}


def render_dot(graph: NodeGraph) -> str:
    """The graph as DOT, left to right; what was asked for has a thick border."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [style="filled,rounded", fontname="sans-serif"];']
    lines += [
        f"  {_quote_text(node.key)} [{_format_attributes(node, node.key in graph.focus)}];" for node in graph.where()
    ]
    lines += [
        f"  {_quote_text(e.source)} -> {_quote_text(e.target)} [label={_quote_text(e.label)}];" for e in graph.edges
    ]
    return "\n".join([*lines, "}", ""])


def _format_attributes(node: Node, focused: bool) -> str:
    label = f"{escape_text(node.name)}\n#{node.id}" if node.id else escape_text(node.name)
    shown = {"label": label, "shape": SHAPES[node.kind], "fillcolor": FILLS[node.kind], "tooltip": node.uri or node.key}
    if focused:
        shown["penwidth"] = "3"
    return ", ".join(f"{name}={_quote_text(value)}" for name, value in shown.items())


def _quote_text(text: str) -> str:
    escaped = escape_multiline(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
