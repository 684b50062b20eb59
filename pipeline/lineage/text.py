"""Lineage on a terminal: a rich tree in the order of the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.tree import Tree

from pipeline import output
from pipeline.lineage.graph import LineageGraph
from pipeline.lineage.nodes import Node
from pipeline.lineage.story import Step, Why

COLOURS = {"COMPLETE": "green", "CACHED": "green", "FAILED": "red", "CANCELED": "red", "RUNNING": "cyan"}
SHORT = 12
"""Characters of a digest that a terminal shows."""
DIGESTS = ("fingerprint", "digest", "code")
COUNTS = ("steps", "rows", "train", "eval", "read", "bad", "left_out", "without_label")
SHOWN = 8
"""Names of one fact that a terminal shows."""
VERSIONS = {"live": "[bold green]live[/]", "gone": "[dim]taken away[/]", "quarantined": "[yellow]rolled back[/]"}


def tree(graph: LineageGraph, steps: Iterable[Step], *, downstream: bool) -> Tree:
    """The story of what was asked for: a branch for each execution, a twig for each fact."""
    made = Tree(f"[bold]{_asked(graph)}[/] {'led to' if downstream else 'came from'}", guide_style="dim")
    steps = list(steps)
    for step in steps:
        _branch(made, step)
    for node in graph.where(kind="version"):
        if node.key not in graph.focus or downstream or not steps:
            _version(made, node, told=not steps)
    return made


def _asked(graph: LineageGraph) -> str:
    """What was asked for: a run by its name, anything else by its first names."""
    focus = [graph.nodes[key] for key in graph.focus]
    if len(focus) > 1 and len({node.run for node in focus}) == 1 and focus[0].run:
        return f"run {output.plain(focus[0].run)}"
    more = f" and {len(focus) - 3} more" if len(focus) > 3 else ""
    return f"{', '.join(map(_name, focus[:3]))}{more}" if focus else "everything"


def why(answer: Why) -> str:
    """The paragraph and its numbers."""
    lines = [
        f"  [dim]{output.plain(name)}[/]  {output.plain(_value(name, value))}"
        for name, value in answer.numbers.items()
        if value not in (None, "", {})
    ]
    return "\n".join([output.plain_lines(answer.paragraph), "", *lines])


def _branch(tree: Tree, step: Step) -> None:
    colour = COLOURS.get(step.state, "yellow")
    time = output.seconds(step.seconds) if step.seconds is not None else ""
    head = f"[bold]{output.plain(step.node)}[/] [{colour}]{step.state.lower()}[/] {time}"
    branch = tree.add(
        f"{head} [dim]{output.moment(step.started)}  run {output.plain(step.run or '?')}  #{step.execution}[/]"
    )
    for name, value in step.facts.items():
        branch.add(f"[dim]{output.plain(name)}[/] {output.plain(_value(name, value))}")
    if step.outputs:
        branch.add(f"[dim]wrote {output.plain(', '.join(step.outputs))}[/]")


def _version(tree: Tree, node: Node, *, told: bool) -> None:
    """A version; where nothing else is known, with what its own provenance tells."""
    labels = f" [cyan]{output.plain(', '.join(node.properties.get('labels', ())))}[/]"
    state = VERSIONS.get(node.type, output.plain(node.type))
    place = f"[dim]{output.moment(node.time)}  {output.plain(node.uri)}[/]"
    head = f"[bold]version {output.plain(node.name)}[/] {state}{labels} {place}"
    branch = tree.add(head)
    for name, value in node.properties.items() if told else ():
        if value not in (None, "", [], {}) and name not in ("version", "model_version"):
            branch.add(f"[dim]{output.plain(name.replace('_', ' '))}[/] {output.plain(_value(name, value))}")


def _name(node: Node) -> str:
    return f"{output.plain(node.name)} [dim]#{node.id}[/]" if node.id else output.plain(node.name)


def _value(name: str, value: Any) -> str:
    if isinstance(value, dict):
        parts = [f"{key} {_value(key, inner)}" for key, inner in list(value.items())[:SHOWN]]
        return ", ".join(parts) + (f", {len(value) - SHOWN} more" if len(value) > SHOWN else "")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value[:SHOWN])) + (f" and {len(value) - SHOWN} more" if len(value) > SHOWN else "")
    if isinstance(value, float):
        return f"{value:.4g}"
    words = f"{value:,}" if isinstance(value, int) and name in COUNTS else str(value)
    whole = name.rpartition(" ")[2] not in DIGESTS
    return words if whole or len(words) <= SHORT + 8 else words.removeprefix("sha256:")[:SHORT] + "…"
