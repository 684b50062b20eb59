"""A verdict as text on a terminal, with its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from taxiway.components.text.printable import escape_text
from taxiway.pipeline.console import printing
from taxiway.pipeline.monitoring.verdicts import LiveMetric, ServingVerdict

HEADS = {
    "right": ("right", "bold green"),
    "wrong": ("wrong", "bold red"),
    "too_few_rows": ("not judged", "bold yellow"),
}
OF_COLUMNS = ("missing_column", "missing_share")
"""Every judged column has one of these."""
SHOWN_LARGEST = 5


def render_verdict(verdict: ServingVerdict) -> RenderableType:
    """What `taxiway monitor` prints."""
    word, style = HEADS[verdict.status]
    head = Text(f"{verdict.model} {verdict.model_version}: ").append(word, style=style)
    return Group(head, *map(Text, map(escape_text, _list_lines(verdict))), *_list_tables(verdict))


def _list_lines(verdict: ServingVerdict) -> Iterator[str]:
    start, end = printing.format_time(verdict.window_start), printing.format_time(verdict.window_end)
    yield f"{verdict.rows:,} rows of {verdict.requests:,} requests, {start} to {end}"
    yield from filter(None, [verdict.origin])
    if verdict.status == "too_few_rows":
        yield verdict.reason
        yield from (f"  log: {line}" for line in verdict.list_log_notes())
        yield from (f"  {note}" for note in verdict.notes)
        return
    judged = [
        name
        for name, found in verdict.numbers.get("columns", {}).items()
        if any(each["kind"] in OF_COLUMNS for each in found)
    ]
    yield f"{len(judged)} columns compared with training statistics {verdict.numbers.get('reference', '')}"
    for finding in verdict.findings:
        yield f"  {'wrong' if finding.blocking else 'by chance'}: {finding.text}"
    if not verdict.findings:
        yield from (f"  {line}" for line in _list_largest(verdict))
    for name, why in verdict.not_judged.items():
        yield f"  not judged: {name}: {why}"
    yield from (f"  log: {line}" for line in verdict.list_log_notes())
    yield from (f"  labels: {note}" for note in verdict.notes)


def _list_largest(verdict: ServingVerdict) -> Iterator[str]:
    """The largest differences of a window in which nothing was found."""
    found = [(name, each) for name, columns in verdict.numbers.get("columns", {}).items() for each in columns]
    found.sort(key=lambda pair: -pair[1]["value"] / max(pair[1]["limit"], 1e-12))
    for name, each in found[:SHOWN_LARGEST]:
        yield f"{name}: {each['measure']} {each['value']:.3g}, allowed {each['limit']:.3g}"


def _list_tables(verdict: ServingVerdict) -> Iterator[RenderableType]:
    if verdict.performance:
        rows = [_make_row(metric) for metric in verdict.performance]
        columns = ("metric", "promised", "95 %", "live", "95 %", "difference", "rows", "")
        yield printing.make_table("live, against what was promised", columns, rows, right=columns[1:7])


def _make_row(metric: LiveMetric) -> tuple[str, ...]:
    worse = "[red]worse[/]" if metric.is_worse else printing.escape_markup(metric.note)
    return (
        printing.escape_markup(metric.metric),
        printing.format_number(metric.promised),
        _format_ends(metric.promised_interval),
        printing.format_number(metric.live),
        _format_ends(metric.interval),
        _format_ends(metric.change_interval),
        f"{metric.rows:,}",
        worse,
    )


def _format_ends(ends: tuple[float, float] | None) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else ""
