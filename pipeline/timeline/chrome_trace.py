"""A run's spans in Chrome's trace event format, which chrome://tracing and ui.perfetto.dev open.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU, complete events (`X`) with
times in microseconds, and metadata events (`M`) that name processes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxiway.components.files.durable_files import replace_file
from taxiway.pipeline.timeline.spans import Span, compute_coverage, slice_wall_time, sum_phases

TRACE_FILE = "trace.json"


def build_trace(
    spans: Sequence[Span], start: float, end: float, packages: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """The trace: one row a process, and as other data the wall time by component and phase.

    Args:
        spans: Spans of the run.
        start: Begin of the run, seconds since 1970.
        end: End of the run, seconds since 1970.
        packages: Imported packages by program; told as other data too.
    """
    slices = slice_wall_time(spans, start, end)
    programs = {span.process: span.program for span in spans}  # the last: a process begins as what starts its program
    return {
        "displayTimeUnit": "ms",
        "traceEvents": [*(_name_process(*each) for each in programs.items()), *(_build_event(s, start) for s in spans)],
        "otherData": {
            "wall_seconds": round(end - start, 3),
            "covered_share": round(compute_coverage(slices), 4),
            "packages": dict(packages or {}),
            "seconds": {
                component: {phase: round(seconds, 3) for phase, seconds in phases.items() if seconds}
                for component, phases in sum_phases(slices).items()
            },
        },
    }


def _name_process(process: int, program: str) -> dict[str, Any]:
    return {"ph": "M", "name": "process_name", "pid": process, "args": {"name": program}}


def _build_event(span: Span, start: float) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": span.what,
        "cat": span.phase,
        "pid": span.process,
        "tid": span.component,
        "ts": round((span.start - start) * 1e6),
        "dur": round((span.end - span.start) * 1e6),
        "args": {"component": span.component, "phase": span.phase},
    }


def write_trace(trace: dict[str, Any], folder: Path) -> Path:
    """Writes the trace into the run's folder."""
    file = folder / TRACE_FILE
    replace_file(file, json.dumps(trace), sync=False)
    return file
