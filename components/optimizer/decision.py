"""Which variant is chosen, and the argument. Plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Sequence

from components.contract import LOWER_IS_BETTER
from components.optimizer.config import REFERENCE, OptimizationConfig, pushable
from components.optimizer.report import Decision, Estimate, Latency, Variant


def rejections(variant: Variant, config: OptimizationConfig) -> list[str]:
    """The constraints that a measured variant does not keep, with the numbers. Empty where it may be chosen."""
    found = [f"not pushable: {reason}"] if (reason := pushable(variant.name, config.runtime, config.hardware)) else []
    found += quality_rejections(variant, config)
    limits = config.constraints
    if limits.max_size_mb is not None and variant.size and variant.size.bytes > limits.max_size_mb * 1e6:
        found.append(f"size {variant.size.bytes / 1e6:.3f} MB is above max_size_mb {limits.max_size_mb:g}")
    latency = _deciding(variant, config)
    if limits.max_p99_ms is not None and latency and latency.p99_ms > limits.max_p99_ms:
        found.append(
            f"p99 {latency.p99_ms:.3f} ms at batch {latency.batch_size} is above max_p99_ms {limits.max_p99_ms:g}"
        )
    return found


def quality_rejections(variant: Variant, config: OptimizationConfig) -> list[str]:
    """The bounds on quality that a variant does not keep."""
    limits, quality = config.constraints, variant.quality
    found: list[str] = []
    if quality is None:
        return found
    if variant.name != REFERENCE and _differs(variant) and quality.rows < limits.min_quality_rows:
        found.append(
            f"its answers differ, and {quality.rows} evaluation rows are too few to prove that as good: "
            f"min_quality_rows is {limits.min_quality_rows}"
        )
    if not _keeps(quality.drop, limits.max_quality_drop):
        found.append(_too_far(quality.metric, quality.drop, limits.max_quality_drop, "max_quality_drop", quality.few))
    for more in quality.also:
        if not _keeps(more.drop, limits.max_loss_rise):
            found.append(_too_far(more.metric, more.drop, limits.max_loss_rise, "max_loss_rise", quality.few))
    for part in quality.slices:
        limit = limits.max_slice_quality_drop.get(part.column)
        if limit is not None and part.drop.high is not None and part.drop.high > limit:
            too_far = _too_far(quality.metric, part.drop, limit, "max_slice_quality_drop")
            found.append(f"in the slice {part.column} = {part.value}: {too_far}")
    return found


def _differs(variant: Variant) -> bool:
    return variant.output_error is None or not variant.output_error.same


def _keeps(drop: Estimate, limit: float) -> bool:
    """At the interval's bad end; a quality that is not known is not kept."""
    return drop.high is not None and drop.high <= limit


def _too_far(metric: str, drop: Estimate, limit: float, key: str, few: str = "") -> str:
    if drop.value is None:
        return f"{metric} is not defined on these rows"
    if drop.high is None:
        return f"how much worse {metric} may be is not known: {f'only {few}' if few else 'no resample differs'}"
    share = " of the reference's" if metric in LOWER_IS_BETTER else ""
    return f"{metric} may be worse by {drop.high:.5f}{share} (measured {drop.value:.5f}), {key} is {limit:g}"


def decide(variants: Sequence[Variant], config: OptimizationConfig) -> Decision:
    """The best variant that keeps the constraints and surely beats the reference; else the reference.

    Args:
        variants: All entries of the report with `rejected` filled in; the reference among them.
        config: Objective, constraints, `min_gain`.
    """
    reference = next(v for v in variants if v.name == REFERENCE)
    measured = [v for v in variants if v.status == "measured" and v.name != REFERENCE]
    kept = [v for v in measured if not v.rejected]
    better = [v for v in kept if gain(v, config)[1] > 1 + config.min_gain]
    best = max(better, key=lambda v: (gain(v, config)[0], -_bytes(v)), default=None)
    reasons = [_why_not(v, config) for v in variants if v is not best and v.name != REFERENCE]
    return Decision(
        chosen=best.name if best else REFERENCE,
        objective=config.objective,
        batch_size=config.deciding_batch_size,
        reasons=[_why(best, reference, config), *reasons],
        pareto=pareto([reference, *(v for v in measured if _may_be_pushed(v, config))], config.deciding_batch_size),
    )


def _may_be_pushed(variant: Variant, config: OptimizationConfig) -> bool:
    return not pushable(variant.name, config.runtime, config.hardware)


def gain(variant: Variant, config: OptimizationConfig) -> tuple[float, float]:
    """How many times better than the reference by the objective: the value, and the near end of its interval."""
    if config.objective == "size":
        ratio = (variant.size.ratio if variant.size else None) or 0.0
        return ratio, ratio
    latency = _deciding(variant, config)
    if latency is None:
        return 0.0, 0.0
    return latency.speedup.value or 0.0, latency.speedup.low or 0.0


def _deciding(variant: Variant, config: OptimizationConfig) -> Latency | None:
    """The latency that decides: of the whole path where there is one, else of the core."""
    size = config.deciding_batch_size
    return variant.latency(size) or variant.latency(size, "core")


def _why(best: Variant | None, reference: Variant, config: OptimizationConfig) -> str:
    if best is None:
        missed = f" It misses a bound itself: {'; '.join(reference.rejected)}." if reference.rejected else ""
        return f"reference: no variant that keeps the constraints is surely better by {config.min_gain:.0%}.{missed}"
    return f"{best.name}: {_gain_text(best, config)}, the best that keeps the constraints. {_kept_text(best)}"


def _gain_text(variant: Variant, config: OptimizationConfig) -> str:
    value, low = gain(variant, config)
    if config.objective == "size":
        return f"{value:.2f} times smaller"
    what = "the throughput" if config.objective == "throughput" else "as fast"
    return f"{value:.2f} times {what} at batch {config.deciding_batch_size} (at least {low:.2f})"


def _kept_text(variant: Variant) -> str:
    quality = variant.quality
    if quality is None or quality.drop.high is None:
        return "Its quality was not measured."
    error = variant.output_error
    if error and error.same:
        return f"It gives the same answers on all {error.rows} rows (largest difference {error.max:.1e})."
    kept = [(quality.metric, quality.drop), *((more.metric, more.drop) for more in quality.also)]
    words = [f"its {metric} is worse by at most {_at_most(metric, drop)}" for metric, drop in kept]
    return f"By the 95 % intervals on {quality.rows} rows {' and '.join(words)}."


def _at_most(metric: str, drop: Estimate) -> str:
    high = max(drop.high or 0.0, 0.0)
    return f"{high:.2%} of the reference's" if metric in LOWER_IS_BETTER else f"{high:.5f}"


def _why_not(variant: Variant, config: OptimizationConfig) -> str:
    if variant.status == "failed":
        return f"{variant.name}: failed: {variant.reason}"
    if variant.status == "not_tried":
        return f"{variant.name}: not tried: {variant.reason}"
    if variant.rejected:
        return f"{variant.name}: rejected: {'; '.join(variant.rejected)}"
    if gain(variant, config)[1] <= 1 + config.min_gain:
        return f"{variant.name}: {_gain_text(variant, config)}, not surely better than the reference"
    return f"{variant.name}: {_gain_text(variant, config)}, and another is better"


def pareto(variants: Sequence[Variant], batch_size: int) -> list[str]:
    """Names of the variants that no other beats in quality, latency and size at once, fastest first."""
    points = {v.name: _point(v, batch_size) for v in variants}
    front = [
        name
        for name, mine in points.items()
        if not any(_dominates(other, mine) for key, other in points.items() if key != name)
    ]
    return sorted(front, key=lambda name: points[name][1])


def _point(variant: Variant, batch_size: int) -> tuple[float, float, float]:
    """Quality lost, time (relative to the reference) and bytes: less is better in all of them."""
    drop = variant.quality.drop.value if variant.quality else 0.0
    latency = variant.latency(batch_size) or variant.latency(batch_size, "core")
    time = 1 / latency.speedup.value if latency and latency.speedup.value else float("inf")
    return (drop if drop is not None else float("inf"), time, float(_bytes(variant)))


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def _bytes(variant: Variant) -> int:
    return variant.size.bytes if variant.size else 0
