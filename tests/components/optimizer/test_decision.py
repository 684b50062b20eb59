from __future__ import annotations

from components.optimizer.config import REFERENCE, OptimizationConfig
from components.optimizer.decision import decide, pareto, rejections
from components.optimizer.report import (
    Estimate,
    Latency,
    MetricQuality,
    OutputError,
    Quality,
    Size,
    SliceQuality,
    Variant,
)


def variant(name: str, speed: float = 1.0, low: float | None = None, drop: float = 0.0, size: int = 1000) -> Variant:
    low = speed * 0.98 if low is None else low
    return Variant(
        name=name,
        techniques=[],
        status="measured",
        size=Size(bytes=size, compressed_bytes=size, ratio=1000 / size),
        latencies=[
            Latency(
                path="whole",
                batch_size=32,
                samples=100,
                p50_ms=1 / speed,
                p95_ms=1.5 / speed,
                p99_ms=2 / speed,
                rows_per_second=32_000 * speed,
                speedup=Estimate(value=speed, low=low, high=speed * 1.02),
            )
        ],
        quality=quality(drop),
    )


def quality(drop: float, slices: list[SliceQuality] | None = None) -> Quality:
    interval = Estimate(value=drop, low=drop - 0.0005, high=drop + 0.0005)
    value = Estimate(value=0.8 - drop, low=0.7, high=0.9)
    return Quality(metric="auc", rows=1000, value=value, reference=0.8, drop=interval, slices=slices or [])


def judged(variants: list[Variant], config: OptimizationConfig) -> list[Variant]:
    for entry in variants:
        entry.rejected = rejections(entry, config)
    return variants


def chosen(variants: list[Variant], **config: object) -> str:
    settings = OptimizationConfig.model_validate(config)
    return decide(judged([variant(REFERENCE), *variants], settings), settings).chosen


def test_the_fastest_that_keeps_quality_is_chosen():
    assert chosen([variant("a", 1.5), variant("b", 2.0), variant("c", 3.0, drop=0.01)]) == "b"


def test_the_reference_wins_when_nothing_is_surely_better():
    assert chosen([variant("a", 1.5, low=0.9)]) == REFERENCE
    assert chosen([variant("a", 1.02)]) == REFERENCE
    assert chosen([]) == REFERENCE


def test_quality_is_judged_at_the_intervals_bad_end():
    assert chosen([variant("a", 2, drop=0.0016)]) == REFERENCE  # 0.0016 keeps 0.002, its bad end 0.0021 does not


def test_the_loss_is_bound_beside_the_rank():
    entry = variant("a", 2.0)
    loss = Estimate(value=0.015, low=0.01, high=0.03)
    entry.quality = quality(0.0)
    entry.quality.also = [MetricQuality(metric="log_loss", value=loss, reference=0.4, drop=loss)]
    assert chosen([entry]) == REFERENCE  # 0.015 keeps 0.02, its bad end does not
    assert "log_loss may be worse by 0.03000 of the reference's" in entry.rejected[0]
    assert chosen([entry], constraints={"max_loss_rise": 0.05}) == "a"


def test_answers_that_differ_need_rows():
    entry = variant("a", 2.0)
    entry.quality.rows = 199
    assert chosen([entry]) == REFERENCE
    assert "199 evaluation rows are too few" in entry.rejected[0]
    entry.output_error = OutputError(max=1e-7, mean=0.0, p99=0.0, decisions_flipped=0, rows=199, same=True)
    assert chosen([entry]) == "a"
    entry.output_error = None
    assert chosen([entry], constraints={"min_quality_rows": 100}) == "a"


def test_too_few_rows_of_a_class_are_said():
    entry = variant("a", 2)
    entry.quality.drop, entry.quality.few = Estimate(value=0.0, low=None, high=None), "3 rows of class 1"
    assert chosen([entry]) == REFERENCE
    assert "how much worse auc may be is not known: only 3 rows of class 1" in entry.rejected[0]


def test_a_slice_of_too_few_rows_is_no_gate():
    entry, unknown = variant("a", 2.0), Estimate(value=0.1, low=None, high=None)
    entry.quality.slices = [SliceQuality(column="hour", value="3", rows=60, metric=unknown, drop=unknown)]
    assert chosen([entry], constraints={"max_slice_quality_drop": {"hour": 0.05}}) == "a"


def test_a_slice_with_a_bound_must_keep_it_too():
    entry = variant("a", 2.0)
    part = SliceQuality(
        column="hour",
        value="3",
        rows=60,
        metric=Estimate(value=0.7, low=0.6, high=0.8),
        drop=Estimate(value=0.05, low=0.0, high=0.1),
    )
    entry.quality = quality(0.0, [part])
    assert chosen([entry]) == "a"
    assert chosen([entry], constraints={"max_slice_quality_drop": {"hour": 0.05}}) == REFERENCE
    assert "hour = 3" in entry.rejected[0]


def test_bounds_on_size_and_p99():
    small, fast = variant("small", 1.2, size=400), variant("fast", 3.0, size=2000)
    assert chosen([small, fast]) == "fast"
    assert chosen([small, fast], constraints={"max_size_mb": 0.001}) == "small"
    assert chosen([small, fast], constraints={"max_p99_ms": 1.0}, objective="size") == REFERENCE


def test_the_objective_size():
    assert chosen([variant("a", 3.0), variant("b", 0.9, size=300)], objective="size") == "b"


def test_every_other_variant_gets_its_reason():
    failed = Variant(name="broken", techniques=[], status="failed", reason="SIGABRT")
    skipped = Variant(name="late", techniques=[], status="not_tried", reason="the budget was spent")
    config = OptimizationConfig()
    all_of_them = [variant(REFERENCE), variant("a", 2), variant("worse", 3, drop=0.1), failed, skipped]
    reasons = "\n".join(decide(judged(all_of_them, config), config).reasons)
    assert reasons.startswith("a: 2.00 times as fast at batch 32 (at least 1.96)")
    for words in ("broken: failed: SIGABRT", "late: not tried: the budget", "worse: rejected: auc may be worse by 0.1"):
        assert words in reasons


def test_an_unknown_quality_is_not_kept():
    entry = variant("a", 2)
    unknown = Estimate(value=None, low=None, high=None)
    entry.quality = Quality(metric="auc", rows=3, value=unknown, reference=None, drop=unknown)
    assert chosen([entry]) == REFERENCE


def test_the_pareto_front():
    variants = [variant(REFERENCE), variant("fast", 2, drop=0.01), variant("small", 0.9, size=500)]
    dominated = variant("worse_in_all", 0.8, drop=0.02, size=1500)
    assert pareto([*variants, dominated], 32) == ["fast", REFERENCE, "small"]
