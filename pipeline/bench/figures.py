"""Figures that several benchmarks compute and print."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def compute_spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def format_met(met: bool) -> str:
    """A verdict on a target, with the console's markup."""
    return "[green]met[/]" if met else "[red]missed[/]"
