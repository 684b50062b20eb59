"""The summary at the end of a run, also what `taxiway show` prints: rich renderables from a `RunRecord`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.contract import HIGHER_IS_BETTER, LOWER_IS_BETTER
from components.printable_text import visible, visible_lines
from pipeline import output
from pipeline.record import GateRecord, MetricValues, RunRecord, VariantRecord

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


def full(run: RunRecord) -> RenderableType:
    """Everything that is known of a run."""
    return _group(nodes(run), gates(run), notes(run), *metrics(run), variants(run), verdict(run))


def at_the_end(run: RunRecord) -> RenderableType:
    """What a run prints last; its nodes were shown while they ran."""
    return _group(gates(run), notes(run), *metrics(run), variants(run), verdict(run))


def _group(*parts: RenderableType | None) -> Group:
    return Group(*_spaced(part for part in parts if part is not None))


def _spaced(parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
    for part in parts:
        yield Text("")
        yield part


def nodes(run: RunRecord) -> Table | None:
    """Every node with its state, time and peak memory."""
    if not run.nodes:
        return None
    rows = [
        (
            node.node,
            node.state,
            output.seconds(node.seconds) if node.seconds is not None else None,
            None if node.peak_memory_mb is None or node.state == "skipped" else f"{node.peak_memory_mb:.0f} MB",
            output.plain_lines(node.reason) if node.state in ("skipped", "failed", "interrupted") else "",
        )
        for node in run.nodes
    ]
    return output.table("Nodes", ("node", "state", "time", "peak memory", "why"), rows, right=("time", "peak memory"))


def gates(run: RunRecord) -> Table | None:
    """What each gate decided, with its numbers."""
    rows = [
        (gate.gate, "passed" if gate.passed else "[yellow]blocks[/]", output.plain(_numbers(gate)))
        for gate in run.gates
    ]
    return output.table("Gates", ("gate", "verdict", "numbers"), rows) if rows else None


def notes(run: RunRecord) -> Text | None:
    """What the gates found and let pass: worth knowing, no reason to stop."""
    found = [
        f"{gate.gate}: {finding.get('column') or ''}{': ' if finding.get('column') else ''}{finding['explanation']}"
        for gate in run.gates
        for finding in gate.numbers.get("findings", ())
        if finding.get("blocking") is False
    ]
    hidden = len(found) - NOTES_SHOWN
    lines = found[:NOTES_SHOWN] + ([f"and {hidden} more notes: taxiway show --json"] if hidden > 0 else [])
    return Text("\n".join(lines)) if lines else None


def _numbers(gate: GateRecord) -> str:
    if not gate.passed:
        return gate.reason
    words = [f"{name} {_short(value)}" for name, value in gate.numbers.items() if name not in ("findings", "label")]
    return ", ".join(words)


def _short(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_short(inner)}" for name, inner in value.items() if name != "distances")
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def metrics(run: RunRecord) -> list[Table]:
    """One table an evaluator: candidate against baseline, the whole split and the slices."""
    tables = [_metrics(node, values, run.main_metric) for node, values in run.metrics.items() if values]
    return tables + [_classes(node, values[0]) for node, values in run.metrics.items() if values and values[0].classes]


def _classes(node: str, overall: MetricValues) -> Table:
    """Each class of a multiclass model, over all rows."""
    kinds = list(next(iter(overall.classes.values())))
    rows = [
        (output.plain(name), *(of_class(kind, values.get(kind)) for kind in kinds))
        for name, values in overall.classes.items()
    ]
    return output.table(f"{node}: each class against the others", ("class", *kinds), rows, right=tuple(kinds))


def of_class(kind: str, value: float | None) -> str:
    """A metric of one class, or its number of rows."""
    return f"{value:,.0f}" if kind == "rows" and value is not None else output.number(value)


def row_counts(values: MetricValues) -> dict[str, int | None]:
    """How many rows a slice's values rest on: all, and of the class that has the fewest."""
    if values.positives is not None:
        return {"rows": values.rows, "positives": values.positives}
    rarest = {} if values.judged_rows in (None, values.rows) else {"rarest class": values.judged_rows}
    return {"rows": values.rows, **rarest}


def _metrics(node: str, values: tuple[MetricValues, ...], main: str) -> Table:
    names = sorted(values[0].candidate, key=lambda name: (name != main, name))
    title = f"{node}: candidate (against the baseline)"
    counts = list(row_counts(values[0]))
    rows = [
        (output.plain(v.slice), *(row_counts(v).get(count) for count in counts), *(_change(name, v) for name in names))
        for v in values[: SLICES_SHOWN + 1]
    ]
    hidden = len(values) - len(rows)
    made = output.table(title, ("slice", *counts, *names), rows, right=(*counts, *names))
    if hidden:
        made.caption, made.caption_justify = f"and {hidden} more slices: taxiway show {'--json'}", "left"
    return made


def _change(name: str, values: MetricValues) -> str:
    candidate, baseline = values.candidate.get(name), values.baseline.get(name)
    if candidate is not None and values.too_few:
        return f"[dim]{candidate:.4f} (too few)[/]"
    if candidate is None or baseline is None:
        return output.number(candidate)
    change = candidate - baseline
    return f"{candidate:.4f} [{_colour(name, change)}]({change:+.4f})[/]"


def _colour(name: str, change: float) -> str:
    """Green is better, red is worse; calibration is best at 1, so neither way is better as such."""
    if abs(change) < NO_CHANGE or name not in HIGHER_IS_BETTER | LOWER_IS_BETTER:
        return "dim"
    return "green" if (change > 0) == (name in HIGHER_IS_BETTER) else "red"


def variants(run: RunRecord) -> Table | None:
    """What the optimizer tried; the chosen one is marked."""
    if not run.variants:
        return None
    batch = run.variants[0].batch_size
    columns = ("", "variant", "size", f"p50 batch {batch}", "p99", "faster by", "quality", "output error", "status")
    tried = [variant for variant in run.variants if variant.status != NOT_TRIED]
    made = output.table("Variants", columns, [_variant(variant) for variant in tried], right=columns[2:8])
    if len(tried) < len(run.variants):
        left = [variant for variant in run.variants if variant.status == NOT_TRIED]
        made.caption, made.caption_justify = f"not tried, for reasons in the report: {_names(left)}", "left"
    return made


def _names(variants: Sequence[VariantRecord]) -> str:
    return output.plain_lines(", ".join(variant.variant for variant in variants))


def _variant(variant: VariantRecord) -> tuple[str, ...]:
    interval = ""
    if variant.speedup_low is not None and variant.speedup_high is not None:
        interval = f" [dim]\\[{variant.speedup_low:.2f}, {variant.speedup_high:.2f}][/]"
    return (
        "[green]→[/]" if variant.chosen else "",
        f"[bold]{output.plain(variant.variant)}[/]" if variant.chosen else output.plain(variant.variant),
        output.size(variant.size_bytes),
        "–" if variant.p50_ms is None else f"{variant.p50_ms:.3f} ms",
        "–" if variant.p99_ms is None else f"{variant.p99_ms:.3f} ms",
        "–" if variant.speedup is None else f"{variant.speedup:.2f}x{interval}",
        output.number(variant.quality),
        "–" if variant.output_error is None else f"{variant.output_error:.1e}",
        "chosen" if variant.chosen else output.plain_lines(variant.reason or variant.status),
    )


def verdict(run: RunRecord) -> Text:
    """How it ended, where the model is, where the log is."""
    text = Text()
    text.append(visible(_headline(run)), style=f"bold {COLOURS[run.state]}")
    text.append(f"  in {output.seconds(run.seconds)}\n" if run.seconds is not None else "\n")
    if run.reason:
        text.append(visible_lines(f"{run.reason}\n"))
    if run.push and (run.push.pushed or run.push.already_live):
        text.append(visible(str(run.push.path)) + "\n")
    if run.resume:
        text.append(f"Go on with: {visible(run.resume)}\n")
    if run.report:
        text.append(f"report: {visible(run.report)}\n")
    return text.append(f"log: {visible(run.log)}", style="dim") if run.log else text


def _headline(run: RunRecord) -> str:
    push = run.push
    if run.state == "live" and push:
        return f"Live: {run.model} version {push.version}" if push.pushed else f"Live already: {push.reason}"
    words = {
        "done": "Done: this part pushes nothing",
        "blocked": "Blocked: the live model stays as it is",
        "failed": "Failed",
        "interrupted": "Interrupted",
        "running": "Running",
    }
    return words.get(run.state, run.state)
