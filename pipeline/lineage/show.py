"""What `taxiway lineage` prints, in each format."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

from rich.console import RenderableType

from pipeline import output
from pipeline.layout import Root
from pipeline.lineage import dot, page, story, text
from pipeline.lineage.graph import LineageGraph

Format = Literal["text", "json", "dot", "html"]


def rendered(graph: LineageGraph, root: Root, how: Format, *, downstream: bool = False) -> RenderableType:
    """The graph in a format: a rich tree for `text`, a string for the others."""
    if how == "dot":
        return dot.render(graph)
    if how == "html":
        return page.render(graph)
    steps = story.steps(graph, root)
    if how == "json":
        return _json({**graph.to_json(), "steps": [step.to_json() for step in steps]})
    return text.tree(graph, steps, downstream=downstream)


def why(graph: LineageGraph, root: Root, how: Format) -> str:
    """Why the version in the graph's focus is live: text, or JSON for every other format."""
    answer = story.why(graph, root)
    return text.why(answer) if how == "text" else _json(answer.to_json())


def deliver(what: RenderableType, out: Path | None) -> None:
    """To a file, or to standard output; markup only where it is text."""
    if out is None:
        structured = isinstance(what, str) and what.startswith(("{", "digraph", "<!doctype"))
        sys.stdout.write(str(what)) if structured else output.print_table(what)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as file:
        if isinstance(what, str):
            file.write(what)
        else:
            output.Console(file=file, width=output.PLAIN_WIDTH).print(what)
    output.console().print(output.plain(out), soft_wrap=True)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"
