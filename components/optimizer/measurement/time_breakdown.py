"""Describes in the report where the time of a call goes. Plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Sequence

from taxiway.components.optimizer.report import Latency, Variant
from taxiway.components.optimizer.techniques import REFERENCE

INPUT_TECHNIQUES = ("frozen", "lean_inputs", "fused_columns")
"""Techniques that shorten parsing and transform."""
DOMINATES = 0.5
"""Share of the whole path above which parsing and transform are what users wait for."""


def describe_time_breakdown(variants: Sequence[Variant], batch_size: int) -> list[str]:
    """Sentences on the share of parsing and transform in a call, and what was done about them."""
    by_name = {variant.name: variant for variant in variants}
    reference = by_name[REFERENCE]
    whole, core = reference.find_latency(batch_size), reference.find_latency(batch_size, "core")
    if whole is None or core is None:
        return []
    share = 1 - core.p50_ms / whole.p50_ms
    said = (
        f"Of a call of {batch_size} rows the reference spends {share:.0%} on parsing and transform "
        f"({whole.p50_ms - core.p50_ms:.3f} of {whole.p50_ms:.3f} ms) and {1 - share:.0%} in the model."
    )
    if share < DOMINATES:
        return [said]
    attacks = [_describe_speedup(by_name[name], batch_size) for name in INPUT_TECHNIQUES if name in by_name]
    measures = [attack for attack in attacks if attack]
    others = " and ".join(f"`{name}`" for name in INPUT_TECHNIQUES[:2])
    rest = f"Against that: {'; '.join(measures)}." if measures else f"Against that: variants {others}."
    return [f"{said} They dominate: a smaller or faster model changes little of what users wait for. {rest}"]


def _describe_speedup(variant: Variant, batch_size: int) -> str | None:
    latency = variant.find_latency(batch_size)
    return f"{variant.name} makes the whole path {_format_speedup(latency)} as fast" if latency else None


def _format_speedup(latency: Latency) -> str:
    value, low, high = latency.speedup.value or 0.0, latency.speedup.low or 0.0, latency.speedup.high or 0.0
    return f"{value:.2f} times ({low:.2f} to {high:.2f})"
