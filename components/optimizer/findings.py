"""Where the time of a call goes, said by the report itself. Plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Sequence

from components.optimizer.config import REFERENCE
from components.optimizer.report import Latency, Variant

DOMINATES = 0.5
"""Share of the whole path above which parsing and transform are what users wait for."""


def where_time_goes(variants: Sequence[Variant], batch_size: int) -> list[str]:
    """Sentences on the share of parsing and transform in a call, and what was done about them."""
    by_name = {variant.name: variant for variant in variants}
    reference = by_name[REFERENCE]
    whole, core = reference.latency(batch_size), reference.latency(batch_size, "core")
    if whole is None or core is None:
        return []
    share = 1 - core.p50_ms / whole.p50_ms
    said = (
        f"Of a call of {batch_size} rows the reference spends {share:.0%} on parsing and transform "
        f"({whole.p50_ms - core.p50_ms:.3f} of {whole.p50_ms:.3f} ms) and {1 - share:.0%} in the model."
    )
    if share < DOMINATES:
        return [said]
    attacks = [_attack(by_name[name], batch_size) for name in ("frozen", "lean_inputs") if name in by_name]
    done = [attack for attack in attacks if attack]
    rest = f"Against that: {'; '.join(done)}." if done else "Against that: variants `frozen` and `lean_inputs`."
    return [f"{said} They dominate: a smaller or faster model changes little of what users wait for. {rest}"]


def _attack(variant: Variant, batch_size: int) -> str:
    latency = variant.latency(batch_size)
    return f"{variant.name} makes the whole path {_times(latency)} as fast" if latency else ""


def _times(latency: Latency) -> str:
    value, low, high = latency.speedup.value or 0.0, latency.speedup.low or 0.0, latency.speedup.high or 0.0
    return f"{value:.2f} times ({low:.2f} to {high:.2f})"
