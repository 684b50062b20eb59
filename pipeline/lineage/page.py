"""Lineage as one self-contained HTML page, and as the part of another page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from components.printable_text import visible_lines
from pipeline import output
from pipeline.lineage import layout
from pipeline.lineage.graph import LineageGraph
from pipeline.lineage.nodes import Node

ASSETS = Path(__file__).parent / "assets"
LONG = 600
"""Characters of one property that the page shows."""


def render(graph: LineageGraph, title: str = "") -> str:
    """The graph as a whole page: zoom, search, click for properties. No request goes to the network."""
    names = ", ".join(graph.nodes[key].name for key in graph.focus[:3])
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title or (f"Lineage of {names}" if names else "Lineage"),
            css=Markup(asset("graph.css")),
            js=Markup(asset("graph.js")),
            widget=widget(graph, alone=True),
        )
    )


def widget(graph: LineageGraph, name: str = "lineage-data", *, alone: bool = False) -> Markup:
    """The graph as a part of a page, which must hold `graph.css` and, after this, `graph.js`.

    Args:
        graph: Drawn well up to some thousand nodes.
        name: Unique in the page.
        alone: The page holds nothing else, so that the wheel zooms without a key.
    """
    template = _environment().get_template("widget.html.j2")
    return Markup(template.render(name=name, alone=alone, graph=script_json(_drawing(graph))))


def asset(name: str) -> str:
    """A file of this package as text."""
    return (ASSETS / name).read_text(encoding="utf-8")


def script_json(value: Any) -> Markup:
    """JSON for a script element: nothing in it can end the element."""
    text = json.dumps(_shown(value), ensure_ascii=False, default=str, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _shown(value: Any) -> Any:
    """The same with every text made visible, keys too."""
    if isinstance(value, str):
        return visible_lines(value)
    if isinstance(value, dict):
        return {visible_lines(str(key)): _shown(inner) for key, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, list | tuple) else value


def environment(folder: Path, **settings: Any) -> jinja2.Environment:
    """Of the templates in a folder: what they are given is text, never HTML, and none of its characters is obeyed."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        finalize=lambda value: visible_lines(value) if type(value) is str else value,  # Markup is our own
        trim_blocks=True,
        **settings,
    )


def _environment() -> jinja2.Environment:
    return environment(ASSETS, undefined=jinja2.StrictUndefined)


def _drawing(graph: LineageGraph) -> dict[str, Any]:
    places = layout.positions(graph)
    width, height = layout.size(places)
    return {
        "focus": list(graph.focus),
        "width": width,
        "height": height,
        "nodes": [_node(node, *places[node.key]) for node in graph.where()],
        "edges": [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in graph.edges],
    }


def _node(node: Node, x: float, y: float) -> dict[str, Any]:
    return {
        "key": node.key,
        "kind": node.kind,
        "name": node.name,
        "sub": _sub(node),
        "state": node.state,
        "facts": _facts(node),
        "x": x,
        "y": y,
        "w": layout.WIDTH,
        "h": layout.HEIGHT,
    }


def _sub(node: Node) -> str:
    if node.kind == "execution":
        time = f", {output.seconds(node.seconds)}" if node.seconds is not None else ""
        return f"{node.state.lower()}{time}"
    if node.kind == "artifact":
        gone = "" if node.state == "LIVE" else f", {node.state.lower()}"
        return f"#{node.id}{gone}"
    return node.type


def _facts(node: Node) -> list[tuple[str, str]]:
    """Names and values that the side of the page shows."""
    known: dict[str, Any] = {"type": node.type, "state": node.state, "run": node.run, "where": node.uri}
    known |= {"time": output.moment(node.time) if node.time else "", **node.properties}
    return [(name, _text(value)) for name, value in known.items() if value not in (None, "", [], {})]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONG else text[:LONG] + "…"
