"""Markdown for Kubeflow's page: gates, metrics, variants and the push, with reasons.

The page cuts Markdown after 400,000 characters and shows no HTML in it (`MarkdownViewer.tsx`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from taxiway.components.text.printable import escape_text
from taxiway.pipeline.console import printing
from taxiway.pipeline.console.summary import format_gate_numbers
from taxiway.pipeline.tracking.run_record import (
    GateRecord,
    MetricValues,
    NodeRecord,
    PushRecord,
    RunRecord,
    VariantRecord,
)

MOST_CHARACTERS = 400_000
MOST_SLICES = 40
WORDS = {
    "live": "Live",
    "done": "Done, nothing pushed",
    "blocked": "Blocked",
    "failed": "Failed",
    "interrupted": "Ended without a word",
    "running": "Running",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def write_run(run: RunRecord) -> str:
    """The whole run: how it ended and why, then gates, metrics, variants, nodes."""
    ending = f"# {WORDS.get(run.state, run.state)}\n"
    reason = escape_markdown(run.reason)
    parts = [
        ending,
        reason,
        write_push(run.push),
        write_gates(run.gates),
        *(write_findings(gate) for gate in run.gates if not gate.passed),
        *(write_metrics(node, values, run.main_metric) for node, values in run.metrics.items()),
        write_variants(run.variants),
        write_nodes(run.nodes),
    ]
    return join_parts(parts)


def join_parts(parts: Iterable[str]) -> str:
    """The parts that say something, cut where the page would cut."""
    text = "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 20].rsplit("\n", 1)[0] + "\n\nand more\n"


def write_gates(gates: Sequence[GateRecord]) -> str:
    """What each gate decided, with its reason or its numbers."""
    rows = [
        (gate.gate, "passed" if gate.passed else "**blocks**", escape_markdown(format_gate_numbers(gate)))
        for gate in gates
    ]
    return _write_section("Gates", ("gate", "verdict", "why"), rows)


def write_findings(gate: GateRecord) -> str:
    """What a gate found in single columns, what blocks first."""
    found = sorted(gate.numbers.get("findings", ()), key=lambda finding: finding.get("blocking") is False)
    rows = [
        (
            escape_markdown(str(finding.get("column") or "")),
            "note" if finding.get("blocking") is False else "**blocks**",
            escape_markdown(str(finding.get("explanation", ""))),
        )
        for finding in found
    ]
    return _write_section(f"{gate.gate}: findings", ("column", "", "what"), rows)


def write_metrics(node: str, values: Sequence[MetricValues], main: str = "") -> str:
    """Candidate and baseline, the whole split and its slices."""
    if not values:
        return ""
    names = sorted(values[0].candidate, key=lambda name: (name != main, name))
    rows = [
        (escape_markdown(each.slice), _format_count(each.rows), *(_format_metric(each, name) for name in names))
        for each in values[: MOST_SLICES + 1]
    ]
    title = f"{node}: candidate (change against the baseline)"
    return _write_section(title, ("slice", "rows", *map(escape_markdown, names)), rows)


def _format_count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _format_metric(values: MetricValues, name: str) -> str:
    mine, other = values.candidate.get(name), values.baseline.get(name)
    if mine is None:
        return "–"
    if values.too_few:
        return f"{mine:.4f} (too few rows)"
    return f"{mine:.4f}" if other is None else f"{mine:.4f} ({mine - other:+.4f})"


def write_variants(variants: Sequence[VariantRecord]) -> str:
    """What the optimizer tried, what it measured, and why each was chosen or not."""
    rows = [
        (
            f"**{escape_markdown(each.variant)}**" if each.chosen else escape_markdown(each.variant),
            "" if each.size_bytes is None else printing.format_bytes(each.size_bytes),
            _format_figure(each.p50_ms, ".3f", " ms"),
            _format_figure(each.speedup, ".2f", "x"),
            _format_figure(each.quality, ".4f", ""),
            "chosen" if each.chosen else each.status.replace("_", " "),
            escape_markdown(each.reason),
        )
        for each in variants
    ]
    return _write_section("Variants", ("variant", "size", "p50", "faster by", "quality", "", "why"), rows)


def _format_figure(value: float | None, form: str, unit: str) -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def write_push(push: PushRecord | None) -> str:
    """The version, or why there is none."""
    if push is None:
        return ""
    if push.candidate:
        return f"Version {push.version} is a candidate ({push.candidate}); the live version stays."
    if push.is_live:
        return f"Version {push.version} {'is live' if push.pushed else 'was live already: the same model'}."
    return f"Nothing was pushed: {escape_markdown(push.reason)}"


def write_nodes(nodes: Sequence[NodeRecord]) -> str:
    """Every node with its state and time."""
    rows = [
        (
            each.node,
            f"**{each.state}**" if each.state in ("failed", "interrupted") else each.state,
            "" if each.seconds is None or each.state == "cached" else printing.format_seconds(each.seconds),
            escape_markdown(each.reason),
        )
        for each in nodes
    ]
    return _write_section("Nodes", ("node", "state", "time", "why"), rows)


def _write_section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape_markdown(text: str) -> str:
    """Text as it is, in one line: names of columns and reasons come from data."""
    return _SPECIAL.sub(r"\\\1", escape_text(text))
