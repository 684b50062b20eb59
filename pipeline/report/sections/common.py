"""What several sections share."""

from __future__ import annotations

from typing import Any

from pipeline import record

Section = dict[str, Any] | None
"""Plain values for the template; None where the run never reached what the section is about."""
MOST_SLICES = 30


def overall(run: record.RunRecord, node: str) -> record.MetricValues | None:
    return next((values for values in run.metrics.get(node, ()) if values.slice == record.OVERALL), None)


def short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {short(inner)}" for name, inner in value.items())
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
