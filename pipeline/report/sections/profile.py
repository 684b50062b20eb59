"""The section of a profiled run: the timeline as a picture, and the wall time by component and phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section
from taxiway.pipeline.timeline.chrome_trace import TRACE_FILE
from taxiway.pipeline.timeline.spans import (
    PHASES,
    SPANS_FILE,
    Slice,
    Span,
    compute_coverage,
    read_spans,
    slice_wall_time,
    sum_phases,
)

NARROWEST_SHARE = 0.0005
"""Bars below this share of the picture's width are left out of the picture, not of the table."""


def describe_profile(run_data: RunData) -> Section:
    """The timeline, from the first span to the end of the last; None where the run was not profiled.

    The page itself is written before its own time is known: `trace.json` has that too.
    """
    spans = read_spans(run_data.root.run_folder(run_data.run.run_id) / SPANS_FILE)
    if not spans:
        return None
    start, end = spans[0].start, max(span.end for span in spans)
    slices = slice_wall_time(spans, start, end)
    sums = sum_phases(slices)
    return {
        "phases": list(PHASES),
        "file": TRACE_FILE,
        "seconds": end - start,
        "covered": compute_coverage(slices),
        "rows": _draw_rows(spans, start, end),
        "table": [_build_row(component, list(phases.values())) for component, phases in sums.items()],
        "total": _build_row("all", [sum(phases[phase] for phases in sums.values()) for phase in PHASES]),
    }


def _build_row(component: str, seconds: Sequence[float]) -> dict[str, Any]:
    return {"name": component, "seconds": [round(value, 2) for value in seconds], "sum": round(sum(seconds), 2)}


def _draw_rows(spans: Sequence[Span], start: float, end: float) -> list[dict[str, Any]]:
    """One row a component and process, with the bars that are wide enough to be seen; left and width from 0 to 1."""
    rows: dict[tuple[str, int], list[Span]] = {}
    for span in spans:
        rows.setdefault((span.component, span.process), []).append(span)
    drawn = [
        {"name": component, "program": own[0].program, "bars": _draw_bars(slice_wall_time(own, start, end), start, end)}
        for (component, _), own in rows.items()
    ]
    return [row for row in drawn if row["bars"]]


def _draw_bars(slices: Sequence[Slice], start: float, end: float) -> list[dict[str, Any]]:
    width = max(end - start, 1e-9)
    return [
        {
            "left": (part.start - start) / width,
            "width": part.seconds / width,
            "phase": part.span.phase,
            "title": f"{part.span.phase}: {part.span.what}, {part.seconds:.2f} s",
        }
        for part in slices
        if part.span and part.seconds / width >= NARROWEST_SHARE
    ]
