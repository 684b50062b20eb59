"""Lineage on a terminal: a tree of executions, oldest first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.tree import Tree

from taxiway.components.contract import SPLITS
from taxiway.components.text.lists import join_first
from taxiway.pipeline.console import printing
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Node
from taxiway.pipeline.lineage.steps import LineageStep
from taxiway.pipeline.lineage.why import VersionExplanation

COLOURS = {"COMPLETE": "green", "CACHED": "green", "FAILED": "red", "CANCELED": "red", "RUNNING": "cyan"}
SHORT = 12
"""Characters of a digest that a terminal shows."""
DIGESTS = ("fingerprint", "digest", "code")
COUNTS = ("steps", "rows", *SPLITS, "read", "bad", "left_out", "without_label")
SHOWN = 8
"""Names of one fact that a terminal shows."""
VERSIONS = {"live": "[bold green]live[/]", "gone": "[dim]taken away[/]", "quarantined": "[yellow]rolled back[/]"}


def render_tree(graph: NodeGraph, steps: Iterable[LineageStep], *, downstream: bool) -> Tree:
    """The tree of what was asked for: a branch for each execution, with its facts."""
    tree = Tree(f"[bold]{_describe_focus(graph)}[/] {'led to' if downstream else 'came from'}", guide_style="dim")
    steps = list(steps)
    for step in steps:
        _add_step(tree, step)
    for node in graph.where(kind="version"):
        if node.key not in graph.focus or downstream or not steps:
            _add_version(tree, node, with_provenance=not steps)
    return tree


def _describe_focus(graph: NodeGraph) -> str:
    """The title: a run by its id, anything else by the names of its first nodes."""
    focus = [graph.nodes[key] for key in graph.focus]
    if len(focus) > 1 and len({node.run for node in focus}) == 1 and focus[0].run:
        return f"run {printing.escape_markup(focus[0].run)}"
    return join_first([_format_name(node) for node in focus], 3) or "everything"


def format_explanation(answer: VersionExplanation) -> str:
    """The paragraph and its numbers."""
    lines = [
        f"  [dim]{printing.escape_markup(name)}[/]  {printing.escape_markup(_format_fact(name, value))}"
        for name, value in answer.numbers.items()
        if value not in (None, "", {})
    ]
    return "\n".join([printing.escape_lines(answer.paragraph), "", *lines])


def _add_step(tree: Tree, step: LineageStep) -> None:
    colour = COLOURS.get(step.state, "yellow")
    time = printing.format_seconds(step.seconds) if step.seconds is not None else ""
    head = f"[bold]{printing.escape_markup(step.node)}[/] [{colour}]{step.state.lower()}[/] {time}"
    branch = tree.add(
        f"{head} [dim]{printing.format_time(step.started)}  run {printing.escape_markup(step.run or '?')}  "
        f"#{step.execution}[/]"
    )
    for name, value in step.facts.items():
        branch.add(f"[dim]{printing.escape_markup(name)}[/] {printing.escape_markup(_format_fact(name, value))}")
    if step.outputs:
        branch.add(f"[dim]wrote {printing.escape_markup(', '.join(step.outputs))}[/]")


def _add_version(tree: Tree, node: Node, *, with_provenance: bool) -> None:
    """A version; with its own provenance where nothing else is known."""
    labels = f" [cyan]{printing.escape_markup(', '.join(node.properties.get('labels', ())))}[/]"
    state = VERSIONS.get(node.type, printing.escape_markup(node.type))
    place = f"[dim]{printing.format_time(node.time)}  {printing.escape_markup(node.uri)}[/]"
    head = f"[bold]version {printing.escape_markup(node.name)}[/] {state}{labels} {place}"
    branch = tree.add(head)
    for name, value in node.properties.items() if with_provenance else ():
        if value not in (None, "", [], {}) and name not in ("version", "model_version"):
            branch.add(
                f"[dim]{printing.escape_markup(name.replace('_', ' '))}[/] "
                f"{printing.escape_markup(_format_fact(name, value))}"
            )


def _format_name(node: Node) -> str:
    return f"{printing.escape_markup(node.name)} [dim]#{node.id}[/]" if node.id else printing.escape_markup(node.name)


def _format_fact(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return join_first([f"{key} {_format_fact(key, inner)}" for key, inner in value.items()], SHOWN)
    if isinstance(value, (list, tuple)):
        return join_first([str(each) for each in value], SHOWN)
    if isinstance(value, float):
        return f"{value:.4g}"
    words = f"{value:,}" if isinstance(value, int) and name in COUNTS else str(value)
    whole = name.rpartition(" ")[2] not in DIGESTS
    return words if whole or len(words) <= SHORT + 8 else words.removeprefix("sha256:")[:SHORT] + "…"
