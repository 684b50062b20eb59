"""What `taxiway lineage` prints, in each format."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

from rich.console import RenderableType

from taxiway.pipeline.console import printing
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.steps import list_steps
from taxiway.pipeline.lineage.views import dot, page, text
from taxiway.pipeline.lineage.why import explain_version
from taxiway.pipeline.root import Root

Format = Literal["text", "json", "dot", "html"]


def render_graph(graph: NodeGraph, root: Root, how: Format, *, downstream: bool = False) -> RenderableType:
    """The graph in a format: a rich tree for `text`, a string for the others."""
    if how == "dot":
        return dot.render_dot(graph)
    if how == "html":
        return page.render_page(graph)
    steps = list_steps(graph, root)
    if how == "json":
        return _format_json({**graph.to_json(), "steps": [step.to_json() for step in steps]})
    return text.render_tree(graph, steps, downstream=downstream)


def render_explanation(graph: NodeGraph, root: Root, how: Format) -> str:
    """Why the version in the graph's focus is live: text, or JSON for every other format."""
    answer = explain_version(graph, root)
    return text.format_explanation(answer) if how == "text" else _format_json(answer.to_json())


def write_output(content: RenderableType, how: Format, out: Path | None) -> None:
    """Writes what was rendered to a file, or to standard output; only `text` holds markup and may be wrapped."""
    if out is None:
        printing.print_renderable(content) if how == "text" else sys.stdout.write(str(content))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as file:
        if how == "text":
            printing.SafeConsole(file=file, width=printing.PLAIN_WIDTH).print(content)
        else:
            file.write(str(content))
    printing.make_console().print(printing.escape_markup(out), soft_wrap=True)


def _format_json(value: object) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"
