"""Chooses a variant, with the reasons. Plain values in, plain values out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from taxiway.components.contract import LOWER_IS_BETTER
from taxiway.components.metrics import rate_intervals
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.measurement.agreement import DISAGREEMENT
from taxiway.components.optimizer.measurement.latency import estimate_speedup
from taxiway.components.optimizer.report import Estimate, OptimizerDecision, Variant
from taxiway.components.optimizer.techniques import REFERENCE
from taxiway.components.refusal import Refusal

SHARES = frozenset({"accuracy", DISAGREEMENT})
"""Measures whose change is a share of rows."""
_MANY_ROWS = 1e7
SAME_SIZE = 1.01
"""Servables within this factor are as small as one another."""


def list_rejections(variant: Variant, config: OptimizationConfig) -> list[str]:
    """The constraints that a measured variant does not keep, with the numbers. Empty where it may be chosen."""
    refusal = find_push_refusal(variant, config)
    rejections = [f"not pushable: {refusal}"] if refusal else []
    rejections += list_quality_rejections(variant, config)
    limits = config.constraints
    if limits.max_size_mb is not None and variant.size and variant.size.bytes > limits.max_size_mb * 1e6:
        rejections.append(f"size {variant.size.bytes / 1e6:.3f} MB is above max_size_mb {limits.max_size_mb:g}")
    latency = variant.find_deciding_latency(config.deciding_batch_size)
    if limits.max_p99_ms is not None and latency and latency.p99_ms > limits.max_p99_ms:
        rejections.append(
            f"p99 {latency.p99_ms:.3f} ms at batch {latency.batch_size} is above max_p99_ms {limits.max_p99_ms:g}"
        )
    return rejections


def find_push_refusal(variant: Variant, config: OptimizationConfig) -> Refusal | None:
    """Why a variant cannot be pushed to the configured runtime on the configured hardware."""
    if variant.hardware == "gpu" and config.hardware == "cpu":
        return Refusal(f"it needs a GPU, and optimization.hardware is {config.hardware}")
    fits = variant.runtime == config.runtime or (variant.runtime == "edge" and config.runtime == "tf_serving_tflite")
    if fits or variant.name == REFERENCE:
        return None
    return Refusal(f"it is made for {variant.runtime}, and optimization.runtime is {config.runtime}")


def list_quality_rejections(variant: Variant, config: OptimizationConfig) -> list[str]:
    """The bounds on quality that a variant does not keep."""
    limits, quality = config.constraints, variant.quality
    rejections: list[str] = []
    if quality is None:
        return rejections
    if variant.name != REFERENCE and _changes_outputs(variant) and quality.rows < limits.min_quality_rows:
        rejections.append(
            f"its answers differ, and {quality.rows} evaluation rows are too few to prove that as good: "
            f"min_quality_rows is {limits.min_quality_rows}"
        )
    judged = [(quality.metric, quality.drop, "max_quality_drop")]
    judged += [(more.metric, more.drop, "max_loss_rise") for more in quality.also]
    for metric, drop, key in judged:
        limit = getattr(limits, key)
        if not _keeps_limit(drop, limit * limits.eval_share):
            rejections.append(_describe_excess(metric, drop, limit, key, quality.few, limits.eval_share))
    for part in quality.slices:
        limit = limits.max_slice_quality_drop.get(part.column)
        if limit is not None and part.drop.high is not None and part.drop.high > limit:
            too_far = _describe_excess(quality.metric, part.drop, limit, "max_slice_quality_drop")
            rejections.append(f"in the slice {part.column} = {part.value}: {too_far}")
    return rejections


def _changes_outputs(variant: Variant) -> bool:
    return variant.output_error is None or not variant.output_error.same


def _keeps_limit(drop: Estimate, limit: float) -> bool:
    """Judged at the upper end of the interval. A drop that is not known is not within the limit."""
    return drop.high is not None and drop.high <= limit


def _describe_excess(metric: str, drop: Estimate, limit: float, key: str, few: str = "", eval_share: float = 1) -> str:
    if drop.value is None:
        return f"{metric} is not defined on these rows"
    if drop.high is None:
        return f"how much worse {metric} may be is not known: {f'only {few}' if few else 'no resample differs'}"
    share = " of the reference's" if metric in LOWER_IS_BETTER else ""
    bound = f"{key} is {limit:g}" + (f" and eval_share {eval_share:g} of it" if eval_share < 1 else "")
    return f"{metric} may be worse by {drop.high:.5f}{share} (measured {drop.value:.5f}), {bound}"


def explain_few_rows(variants: Sequence[Variant], config: OptimizationConfig) -> str:
    """Which variants keep the limits as measured, on too few rows to prove it, and how many rows would; else empty.

    An interval narrows with the root of the rows; that of a share of which no row was seen, with the rows.
    """
    needed = {v.name: _count_needed_rows(v, config) for v in variants if v.name != REFERENCE and v.status == "measured"}
    undecided = {name: rows for name, rows in needed.items() if rows}
    if not undecided:
        return ""
    few = max(v.quality.rows for v in variants if v.name in undecided and v.quality)
    least = min(undecided.values())
    enough = f"about {least:,.0f} would" if least < _MANY_ROWS else "it is too near the limit for any number of them"
    return (
        f"{', '.join(undecided)}: as measured within the limits, but {few} rows are too few to prove it; {enough}"
        f"{f' (for {min(undecided, key=undecided.__getitem__)})' if len(undecided) > 1 else ''}."
    )


def _count_needed_rows(variant: Variant, config: OptimizationConfig) -> float:
    """Rows on which what was measured would keep every limit; 0 where it keeps them, or is itself past one."""
    limits, quality = config.constraints, variant.quality
    if quality is None or not list_quality_rejections(variant, config):
        return 0.0
    judged = [(quality.metric, quality.drop, limits.max_quality_drop)]
    judged += [(more.metric, more.drop, limits.max_loss_rise) for more in quality.also]
    needed = float(limits.min_quality_rows)
    for metric, drop, limit in judged:
        allowed = limit * limits.eval_share
        if drop.value is None or drop.high is None or drop.value >= allowed:
            return 0.0
        if drop.high > allowed:
            needed = max(needed, _estimate_rows(metric, drop.value, drop.high, allowed, quality.rows))
    return needed if needed > quality.rows else 0.0


def _estimate_rows(metric: str, value: float, high: float, allowed: float, rows: int) -> float:
    if value == 0 and metric in SHARES:
        return max(rate_intervals.count_rows_for_share(allowed), rows + 1)
    return math.ceil(rows * ((high - value) / (allowed - value)) ** 2)


def choose_variant(variants: Sequence[Variant], config: OptimizationConfig) -> OptimizerDecision:
    """The best variant that keeps the constraints and surely beats the reference; else the reference.

    Among those whose latency cannot be told from the fastest's, the smaller is the best, then the more exact.

    Args:
        variants: Entries of the report with `rejected` filled in, the reference among them.
        config: Configuration with objective, constraints and `min_gain`.
    """
    reference = next(v for v in variants if v.name == REFERENCE)
    measured = [v for v in variants if v.status == "measured" and v.name != REFERENCE]
    kept = [v for v in measured if not v.rejected]
    better = [v for v in kept if is_better(v, config)]
    best = _find_best(better, config)
    reasons = [_explain_rejection(v, config, best) for v in variants if v is not best and v.name != REFERENCE]
    return OptimizerDecision(
        chosen=best.name if best else REFERENCE,
        objective=config.objective,
        batch_size=config.deciding_batch_size,
        reasons=[
            _explain_choice(best, reference, config),
            *reasons,
            *filter(None, [explain_few_rows(variants, config)]),
        ],
        pareto=list_pareto_front(
            [reference, *(v for v in measured if not find_push_refusal(v, config))], config.deciding_batch_size
        ),
    )


def is_better(variant: Variant, config: OptimizationConfig) -> bool:
    """Whether a variant that keeps the constraints may replace the reference."""
    return not config.keep_reference or compute_gain(variant, config)[1] > 1 + config.min_gain


def _find_best(better: Sequence[Variant], config: OptimizationConfig) -> Variant | None:
    fastest = max(better, key=lambda v: (compute_gain(v, config)[0], -v.size_bytes), default=None)
    if fastest is None:
        return None
    equal = [v for v in better if v is fastest or is_as_fast(v, fastest, config)]
    smallest = min(v.size_bytes for v in equal)
    return min(
        (v for v in equal if v.size_bytes <= smallest * SAME_SIZE),
        key=lambda v: (_get_output_error(v), -compute_gain(v, config)[0]),
    )


def is_as_fast(variant: Variant, fastest: Variant, config: OptimizationConfig) -> bool:
    """Whether the 95 % interval of the ratio of their times, round by round, holds 1. No where no rounds are known."""
    mine, best = (v.find_deciding_latency(config.deciding_batch_size) for v in (variant, fastest))
    if config.objective == "size" or mine is None or best is None or mine.path != best.path:
        return False
    rounds = min(len(mine.round_ms), len(best.round_ms))
    if not rounds:
        return False
    own, fast = (np.array(latency.round_ms[:rounds]) for latency in (mine, best))
    ratio = estimate_speedup(own, fast, config.bootstrap_samples, config.seed)
    return ratio.low <= 1


def _get_output_error(variant: Variant) -> float:
    return variant.output_error.mean if variant.output_error else 0.0


def compute_gain(variant: Variant, config: OptimizationConfig) -> tuple[float, float]:
    """How many times better than the reference by the objective: the value, and the low end of its interval."""
    if config.objective == "size":
        ratio = (variant.size.ratio if variant.size else None) or 0.0
        return ratio, ratio
    latency = variant.find_deciding_latency(config.deciding_batch_size)
    if latency is None:
        return 0.0, 0.0
    return latency.speedup.value or 0.0, latency.speedup.low or 0.0


def _explain_choice(best: Variant | None, reference: Variant, config: OptimizationConfig) -> str:
    if best is None:
        if not config.keep_reference:
            return f"reference: no variant for {config.runtime} was made, measured and kept the constraints."
        missed = f" It misses a bound itself: {'; '.join(reference.rejected)}." if reference.rejected else ""
        return f"reference: no variant that keeps the constraints is surely better by {config.min_gain:.0%}.{missed}"
    return (
        f"{best.name}: {_format_gain(best, config)}, the best that keeps the constraints. "
        f"{_describe_kept_quality(best)}"
    )


def _format_gain(variant: Variant, config: OptimizationConfig) -> str:
    value, low = compute_gain(variant, config)
    if config.objective == "size":
        return f"{value:.2f} times smaller"
    what = "the throughput" if config.objective == "throughput" else "as fast"
    return f"{value:.2f} times {what} at batch {config.deciding_batch_size} (at least {low:.2f})"


def _describe_kept_quality(variant: Variant) -> str:
    quality = variant.quality
    if quality is None or quality.drop.high is None:
        return "Its quality was not measured."
    error = variant.output_error
    if error and error.same:
        return f"It gives the same answers on all {error.rows} rows (largest difference {error.max:.1e})."
    kept = [(quality.metric, quality.drop), *((more.metric, more.drop) for more in quality.also)]
    words = [f"its {metric} is worse by at most {_format_bound(metric, drop)}" for metric, drop in kept]
    return f"By the 95 % intervals on {quality.rows} rows {' and '.join(words)}."


def _format_bound(metric: str, drop: Estimate) -> str:
    high = max(drop.high or 0.0, 0.0)
    return f"{high:.2%} of the reference's" if metric in LOWER_IS_BETTER else f"{high:.5f}"


def _explain_rejection(variant: Variant, config: OptimizationConfig, best: Variant | None) -> str:
    if variant.status in ("failed", "refused"):
        return f"{variant.name}: {variant.status}: {variant.reason}"
    if variant.status == "not_tried":
        return f"{variant.name}: not tried: {variant.reason}"
    if variant.rejected:
        return f"{variant.name}: rejected: {'; '.join(variant.rejected)}"
    if not is_better(variant, config):
        return f"{variant.name}: {_format_gain(variant, config)}, not surely better than the reference"
    if best and compute_gain(variant, config)[0] > compute_gain(best, config)[0]:
        return (
            f"{variant.name}: {_format_gain(variant, config)}, which cannot be told from {best.name}; that is smaller "
            f"or more exact ({best.size_bytes / 1e6:.3f} MB against {variant.size_bytes / 1e6:.3f} MB)"
        )
    return f"{variant.name}: {_format_gain(variant, config)}, and another is better"


def list_pareto_front(variants: Sequence[Variant], batch_size: int) -> list[str]:
    """Names of the variants that no other beats in quality, latency and size at once, fastest first."""
    points = {v.name: _compute_costs(v, batch_size) for v in variants}
    front = [
        name
        for name, mine in points.items()
        if not any(_dominates_point(other, mine) for key, other in points.items() if key != name)
    ]
    return sorted(front, key=lambda name: points[name][1])


def _compute_costs(variant: Variant, batch_size: int) -> tuple[float, float, float]:
    """Quality lost, time (relative to the reference) and bytes: less is better in all of them."""
    drop = variant.quality.drop.value if variant.quality else 0.0
    latency = variant.find_deciding_latency(batch_size)
    time = 1 / latency.speedup.value if latency and latency.speedup.value else float("inf")
    return (drop if drop is not None else float("inf"), time, float(variant.size_bytes))


def _dominates_point(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other
