"""Types and formats that several sections share."""

from __future__ import annotations

from typing import Any

from taxiway.pipeline.report.words import name_key

Section = dict[str, Any] | None
"""Plain values for the template; None where the run did not get so far."""
MOST_SLICES = 30


def format_report_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name_key(str(name))} {format_report_value(inner)}" for name, inner in value.items())
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
