"""The summary at the end of a run, also what `taxiway show` prints: rich renderables from a `RunRecord`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from taxiway.components.contract import DETAIL_METRICS, HIGHER_IS_BETTER, LOWER_IS_BETTER
from taxiway.components.text.printable import escape_multiline, escape_text
from taxiway.pipeline.console import printing
from taxiway.pipeline.tracking.run_record import GateRecord, MetricValues, RunRecord, VariantRecord

SLICES_SHOWN = 12
NOTES_SHOWN = 8
NOT_TRIED = "not_tried"
NO_CHANGE = 5e-5
"""Smaller changes are shown as 0.0000."""
COLOURS = {
    "live": "green",
    "done": "green",
    "blocked": "yellow",
    "failed": "red",
    "interrupted": "red",
    "running": "cyan",
    "unreadable": "magenta",
}


def render_run(run: RunRecord, intervals: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """A whole run: nodes, gates, metrics, variants, outcome, environment.

    Args:
        run: The run.
        intervals: Those of its main metric; see `kept_scores.read_main_intervals`.
    """
    return _group_parts(
        make_nodes_table(run),
        make_gates_table(run),
        make_notes_text(run),
        *make_metrics_tables(run),
        make_intervals_text(run, intervals),
        make_variants_table(run),
        make_outcome_text(run),
        make_environment_text(run),
    )


def render_end(run: RunRecord, intervals: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """What a run prints last; its nodes were shown while they ran. Arguments as of `render_run`."""
    return _group_parts(
        make_gates_table(run),
        make_notes_text(run),
        *make_metrics_tables(run),
        make_intervals_text(run, intervals),
        make_variants_table(run),
        make_outcome_text(run),
    )


def _group_parts(*parts: RenderableType | None) -> Group:
    return Group(*_add_spacing(part for part in parts if part is not None))


def _add_spacing(parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
    for part in parts:
        yield Text("")
        yield part


def make_nodes_table(run: RunRecord) -> Table | None:
    """Every node with its state, time and peak memory."""
    if not run.nodes:
        return None
    rows = [
        (
            node.node,
            node.state,
            printing.format_seconds(node.seconds) if node.seconds is not None else None,
            None if node.peak_memory_mb is None or node.state == "skipped" else f"{node.peak_memory_mb:.0f} MB",
            printing.escape_lines(node.reason) if node.state in ("skipped", "failed", "interrupted") else "",
        )
        for node in run.nodes
    ]
    return printing.make_table(
        "Nodes", ("node", "state", "time", "peak memory", "why"), rows, right=("time", "peak memory")
    )


def make_gates_table(run: RunRecord) -> Table | None:
    """What each gate decided, with its numbers."""
    rows = [
        (gate.gate, "passed" if gate.passed else "[yellow]blocks[/]", printing.escape_markup(format_gate_numbers(gate)))
        for gate in run.gates
    ]
    return printing.make_table("Gates", ("gate", "verdict", "numbers"), rows) if rows else None


def make_notes_text(run: RunRecord) -> Text | None:
    """Findings of the gates that did not block."""
    notes = [
        f"{gate.gate}: {finding.get('column') or ''}{': ' if finding.get('column') else ''}{finding['explanation']}"
        for gate in run.gates
        for finding in gate.numbers.get("findings", ())
        if finding.get("blocking") is False
    ]
    hidden = len(notes) - NOTES_SHOWN
    lines = notes[:NOTES_SHOWN] + ([f"and {hidden} more notes: taxiway show --json"] if hidden > 0 else [])
    return Text("\n".join(lines)) if lines else None


def format_gate_numbers(gate: GateRecord) -> str:
    """A gate's numbers in one line; the reason of one that blocks."""
    if not gate.passed:
        return gate.reason
    words = [
        f"{name} {_format_gate_value(value)}"
        for name, value in gate.numbers.items()
        if name not in ("findings", "label")
    ]
    return ", ".join(words)


def _format_gate_value(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_format_gate_value(inner)}" for name, inner in value.items() if name != "distances")
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def make_metrics_tables(run: RunRecord) -> list[Table]:
    """One table an evaluator: candidate against baseline, the whole split and the slices."""
    tables = [_make_metrics_table(node, values, run.main_metric) for node, values in run.metrics.items() if values]
    return tables + [
        _make_classes_table(node, values[0]) for node, values in run.metrics.items() if values and values[0].classes
    ]


def make_intervals_text(run: RunRecord, intervals: Mapping[str, Mapping[str, Any]]) -> Text | None:
    """The main metric over all rows with its 95 % interval, a line an evaluator; None where it was not measured."""
    measured = {node: run.find_overall(node) for node in run.metrics}
    values = {node: overall.candidate.get(run.main_metric) for node, overall in measured.items() if overall}
    lines = [
        f"{node}: {run.main_metric} {value:.4f}, {describe_interval(intervals.get(node, {}))}"
        for node, value in values.items()
        if value is not None and intervals.get(node)
    ]
    if not lines and any(value is not None for value in values.values()):
        lines = [f"The 95 % interval of {run.main_metric} is not computed (yet): taxiway report {run.run_id}"]
    return Text("\n".join(escape_text(line) for line in lines)) if lines else None


def describe_interval(entry: Mapping[str, Any]) -> str:
    """An interval in words, or why there is none; `entry` as `scores.json` has it of a metric."""
    if entry.get("value"):
        low, high = entry["value"]
        return f"95 % interval {low:.4f} to {high:.4f}"
    return f"too few rows for an interval: {entry['few']}" if entry.get("few") else "no interval is known"


def _make_classes_table(node: str, overall: MetricValues) -> Table:
    """Each class of a multiclass model, over all rows."""
    kinds = list(next(iter(overall.classes.values())))
    rows = [
        (printing.escape_markup(name), *(format_class_metric(kind, values.get(kind)) for kind in kinds))
        for name, values in overall.classes.items()
    ]
    return printing.make_table(f"{node}: each class against the others", ("class", *kinds), rows, right=tuple(kinds))


def format_class_metric(kind: str, value: float | None) -> str:
    """A metric of one class, or its number of rows."""
    return f"{value:,.0f}" if kind == "rows" and value is not None else printing.format_number(value)


def count_judged_rows(values: MetricValues) -> dict[str, int | None]:
    """How many rows a slice's values rest on: all, and of the class that has the fewest."""
    if values.positives is not None:
        return {"rows": values.rows, "positives": values.positives}
    rarest = {} if values.judged_rows in (None, values.rows) else {"rarest class": values.judged_rows}
    return {"rows": values.rows, **rarest}


def _make_metrics_table(node: str, values: tuple[MetricValues, ...], main: str) -> Table:
    every = sorted(values[0].candidate, key=lambda name: (name != main, name))
    names = [name for name in every if name == main or name not in DETAIL_METRICS]
    title = f"{node}: candidate (against the baseline)"
    counts = list(count_judged_rows(values[0]))
    rows = [
        (
            printing.escape_markup(v.slice),
            *(count_judged_rows(v).get(count) for count in counts),
            *(_format_change(name, v) for name in names),
        )
        for v in values[: SLICES_SHOWN + 1]
    ]
    hidden = len(values) - len(rows)
    table = printing.make_table(title, ("slice", *counts, *names), rows, right=(*counts, *names))
    notes = [f"{hidden} more slices"] if hidden else []
    notes += [", ".join(name for name in every if name not in names)] if len(names) < len(every) else []
    if notes:
        table.caption, table.caption_justify = f"and {'; '.join(notes)}: report, taxiway show --json", "left"
    return table


def _format_change(name: str, values: MetricValues) -> str:
    candidate, baseline = values.candidate.get(name), values.baseline.get(name)
    if candidate is not None and values.too_few:
        return f"[dim]{candidate:.4f} (too few)[/]"
    if candidate is None or baseline is None:
        return printing.format_number(candidate)
    change = candidate - baseline
    return f"{candidate:.4f} [{_choose_colour(name, change)}]({change:+.4f})[/]"


def _choose_colour(name: str, change: float) -> str:
    """Green is better, red is worse; calibration is best at 1, so neither way is better as such."""
    if abs(change) < NO_CHANGE or name not in HIGHER_IS_BETTER | LOWER_IS_BETTER:
        return "dim"
    return "green" if (change > 0) == (name in HIGHER_IS_BETTER) else "red"


def make_variants_table(run: RunRecord) -> Table | None:
    """What the optimizer tried; the chosen one is marked."""
    return format_variants(run.variants) if run.variants else None


def format_variants(variants: Sequence[VariantRecord], quality: str = "quality") -> Table:
    """The table of variants.

    Args:
        variants: Records of them, at least one.
        quality: Name of what their quality is.
    """
    batch = variants[0].batch_size
    columns = ("", "variant", "size", f"p50 batch {batch}", "p99", "faster by", quality, "output error", "status")
    tried = [variant for variant in variants if variant.status != NOT_TRIED]
    table = printing.make_table(
        "Variants", columns, [_format_variant(variant) for variant in tried], right=columns[2:8]
    )
    if len(tried) < len(variants):
        left = [variant for variant in variants if variant.status == NOT_TRIED]
        table.caption, table.caption_justify = f"not tried, for reasons in the report: {_join_variants(left)}", "left"
    return table


def _join_variants(variants: Sequence[VariantRecord]) -> str:
    return printing.escape_lines(", ".join(variant.variant for variant in variants))


def _format_variant(variant: VariantRecord) -> tuple[str, ...]:
    interval = ""
    if variant.speedup_low is not None and variant.speedup_high is not None:
        interval = f" [dim]\\[{variant.speedup_low:.2f}, {variant.speedup_high:.2f}][/]"
    return (
        "[green]→[/]" if variant.chosen else "",
        f"[bold]{printing.escape_markup(variant.variant)}[/]"
        if variant.chosen
        else printing.escape_markup(variant.variant),
        printing.format_bytes(variant.size_bytes),
        "–" if variant.p50_ms is None else f"{variant.p50_ms:.3f} ms",
        "–" if variant.p99_ms is None else f"{variant.p99_ms:.3f} ms",
        "–" if variant.speedup is None else f"{variant.speedup:.2f}x{interval}",
        printing.format_number(variant.quality),
        "–" if variant.output_error is None else f"{variant.output_error:.1e}",
        "chosen" if variant.chosen else printing.escape_lines(_describe_status(variant)),
    )


def _describe_status(variant: VariantRecord) -> str:
    unmade = variant.status in ("failed", "refused")
    return f"{variant.status}: {variant.reason}" if unmade and variant.reason else variant.reason or variant.status


def make_outcome_text(run: RunRecord) -> Text:
    """How it ended, where the model is, where the log is."""
    text = Text()
    text.append(escape_text(_format_headline(run)), style=f"bold {COLOURS[run.state]}")
    text.append(f"  in {printing.format_seconds(run.seconds)}\n" if run.seconds is not None else "\n")
    if run.reason:
        text.append(escape_multiline(f"{run.reason}\n"))
    if run.push and (run.push.is_live or run.push.candidate):
        text.append(escape_text(str(run.push.path)) + "\n")
    if run.resume:
        text.append(f"Go on with: {escape_text(run.resume)}\n")
    if run.report:
        text.append(f"report: {escape_text(run.report)}\n")
    return text.append(f"log: {escape_text(run.log)}", style="dim") if run.log else text


def make_environment_text(run: RunRecord) -> Text | None:
    """What the run was made with, in one line."""
    return Text(escape_text(run.environment.to_line()), style="dim") if run.environment else None


def _format_headline(run: RunRecord) -> str:
    push = run.push
    if run.state == "live" and push:
        return f"Live: {run.model} version {push.version}" if push.pushed else f"Live already: {push.reason}"
    if run.state == "done" and push and push.candidate:
        return f"Candidate: {run.model} version {push.version}, {push.candidate}; the live version stays"
    words = {
        "done": "Done: this part pushes nothing",
        "blocked": "Blocked: the live model stays as it is",
        "failed": "Failed",
        "interrupted": "Interrupted",
        "running": "Running",
    }
    return words.get(run.state, run.state)
