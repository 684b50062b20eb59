"""The lineage graph as a self-contained HTML page, and as a part of another page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup

from taxiway.components.text.printable import escape_multiline
from taxiway.pipeline.console import printing
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Node
from taxiway.pipeline.lineage.views import layout

ASSETS = Path(__file__).parent / "assets"
LONG = 600
"""Characters of one property that the page shows."""


def render_page(graph: NodeGraph, title: str = "") -> str:
    """The graph as a page with zoom, search and properties on click. The page makes no network request."""
    names = ", ".join(graph.nodes[key].name for key in graph.focus[:3])
    return (
        _make_page_environment()
        .get_template("page.html.j2")
        .render(
            title=title or (f"Lineage of {names}" if names else "Lineage"),
            css=Markup(read_asset("graph.css")),
            js=Markup(read_asset("graph.js")),
            widget=render_widget(graph, alone=True),
        )
    )


def render_widget(
    graph: NodeGraph,
    name: str = "lineage-data",
    *,
    alone: bool = False,
    start: Literal["beginning", "focus"] = "beginning",
) -> Markup:
    """The graph as a part of a page; that page must hold `graph.css` and, after this part, `graph.js`.

    Args:
        graph: Graph of up to some thousand nodes.
        name: Name of the element, unique in the page.
        alone: Whether the page holds nothing else: then the wheel zooms without a key.
        start: Where a graph opens that does not fit: at the data that everything began with, or at what was asked for.
    """
    template = _make_page_environment().get_template("widget.html.j2")
    return Markup(template.render(name=name, alone=alone, start=start, graph=dump_script_json(_draw_graph(graph))))


def read_asset(name: str) -> str:
    """A file of this package as text."""
    return (ASSETS / name).read_text(encoding="utf-8")


def dump_script_json(value: Any) -> Markup:
    """JSON for a script element; no text in it can end the element."""
    text = json.dumps(_make_visible(value), ensure_ascii=False, default=str, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _make_visible(value: Any) -> Any:
    """The value with control characters escaped in all texts and keys."""
    if isinstance(value, str):
        return escape_multiline(value)
    if isinstance(value, dict):
        return {escape_multiline(str(key)): _make_visible(inner) for key, inner in value.items()}
    return [_make_visible(inner) for inner in value] if isinstance(value, list | tuple) else value


def make_environment(folders: Path | Sequence[Path], **settings: Any) -> jinja2.Environment:
    """A jinja environment whose templates take every value for text: HTML and control characters are escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        finalize=lambda value: escape_multiline(value) if type(value) is str else value,  # our own Markup stays
        trim_blocks=True,
        **settings,
    )


def _make_page_environment() -> jinja2.Environment:
    return make_environment(ASSETS, undefined=jinja2.StrictUndefined)


def _draw_graph(graph: NodeGraph) -> dict[str, Any]:
    places = layout.place_nodes(graph)
    width, height = layout.measure_drawing(places)
    return {
        "focus": list(graph.focus),
        "width": width,
        "height": height,
        "nodes": [_draw_node(node, *places[node.key]) for node in graph.where()],
        "edges": [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in graph.edges],
    }


def _draw_node(node: Node, x: float, y: float) -> dict[str, Any]:
    return {
        "key": node.key,
        "kind": node.kind,
        "name": node.name,
        "sub": _format_subtitle(node),
        "state": node.state,
        "facts": _list_facts(node),
        "x": x,
        "y": y,
        "w": layout.WIDTH,
        "h": layout.HEIGHT,
    }


def _format_subtitle(node: Node) -> str:
    if node.kind == "execution":
        time = f", {printing.format_seconds(node.seconds)}" if node.seconds is not None else ""
        return f"{node.state.lower()}{time}"
    if node.kind == "artifact":
        gone = "" if node.state == "LIVE" else f", {node.state.lower()}"
        return f"#{node.id}{gone}"
    return node.type


def _list_facts(node: Node) -> list[tuple[str, str]]:
    """Names and values in the panel beside the graph."""
    facts: dict[str, Any] = {"type": node.type, "state": node.state, "run": node.run, "where": node.uri}
    facts |= {"time": printing.format_time(node.time) if node.time else "", **node.properties}
    return [(name, _shorten_value(value)) for name, value in facts.items() if value not in (None, "", [], {})]


def _shorten_value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONG else text[:LONG] + "…"
