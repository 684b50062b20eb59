"""The spans that the processes of a profiled run have recorded."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SPANS_FILE = "profile.jsonl"
PHASES = ("import", "read", "trace", "compile", "execute", "write")


@dataclass(frozen=True)
class Span:
    """What one process did for a while.

    Attributes:
        process: Process id.
        program: Main module of the process.
        component: Node id, or `run` for what belongs to no node.
        phase: One of `PHASES`.
        what: Words about it.
        start: Seconds since 1970.
        end: Seconds since 1970.
    """

    process: int
    program: str
    component: str
    phase: str
    what: str
    start: float
    end: float


def read_spans(file: Path) -> list[Span]:
    """The spans of a file by their start; empty where there is none. A line that a killed process tore is left out."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return sorted(_parse_lines(text.splitlines()), key=lambda span: (span.start, -span.end))


def read_packages(file: Path) -> dict[str, list[str]]:
    """Packages that processes had imported when they ended, by their program; those of equal programs together."""
    found: dict[str, set[str]] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else ():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            content = json.loads(line)
            program, packages = str(content["program"]), {str(name) for name in content["packages"]}
            found[program] = found.get(program, set()) | packages
    return {program: sorted(packages) for program, packages in found.items()}


def _parse_lines(lines: Iterable[str]) -> Iterator[Span]:
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):
            span = Span(**json.loads(line))
            if span.phase in PHASES and span.end >= span.start:
                yield span


@dataclass(frozen=True)
class Slice:
    """A part of the wall time, and the span that it is counted for; no span where nothing was recorded."""

    start: float
    end: float
    span: Span | None

    @property
    def seconds(self) -> float:
        return self.end - self.start


def slice_wall_time(spans: Sequence[Span], start: float, end: float) -> list[Slice]:
    """Cuts the time from `start` to `end` so that each moment counts once.

    A moment counts for the span that began last among those that go on: for the inner one of two in one process, for
    the child's where a parent waits, and for the newer where two components run beside one another.
    """
    edges = sorted({start, end, *(t for span in spans for t in (span.start, span.end) if start < t < end)})
    waiting = sorted(spans, key=lambda span: (-span.start, span.end))
    going: list[tuple[float, float, int, Span]] = []
    slices: list[Slice] = []
    for left, right in itertools.pairwise(edges):
        while waiting and waiting[-1].start <= left:
            span = waiting.pop()
            heapq.heappush(going, (-span.start, span.end, len(waiting), span))
        while going and going[0][1] <= left:
            heapq.heappop(going)
        newest = going[0][3] if going else None
        if slices and slices[-1].span is newest:
            slices[-1] = Slice(slices[-1].start, right, newest)
        else:
            slices.append(Slice(left, right, newest))
    return slices


def sum_phases(slices: Iterable[Slice]) -> dict[str, dict[str, float]]:
    """Seconds by component and phase, in the order in which the components began."""
    sums: dict[str, dict[str, float]] = {}
    for part in slices:
        if part.span:
            phases = sums.setdefault(part.span.component, dict.fromkeys(PHASES, 0.0))
            phases[part.span.phase] += part.seconds
    return sums


def compute_coverage(slices: Sequence[Slice]) -> float:
    """Share of the time that some span explains; 1 of no time."""
    whole = sum(part.seconds for part in slices)
    return sum(part.seconds for part in slices if part.span) / whole if whole else 1.0
