from __future__ import annotations

import pytest

from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.decision import (
    choose_variant,
    compute_gain,
    explain_few_rows,
    find_push_refusal,
    list_pareto_front,
    list_rejections,
)
from taxiway.components.optimizer.report import (
    Estimate,
    Latency,
    MetricQuality,
    OutputError,
    Quality,
    ServableSize,
    SliceQuality,
    Variant,
)
from taxiway.components.optimizer.techniques import REFERENCE, find_hardware, find_runtime


def variant(name: str, speed: float = 1.0, low: float | None = None, drop: float = 0.0, size: int = 1000) -> Variant:
    low = speed * 0.98 if low is None else low
    return Variant(
        name=name,
        techniques=[],
        status="measured",
        size=ServableSize(bytes=size, compressed_bytes=size, ratio=1000 / size),
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
        entry.rejected = list_rejections(entry, config)
    return variants


def chosen(variants: list[Variant], **config: object) -> str:
    settings = OptimizationConfig.model_validate(config)
    return choose_variant(judged([variant(REFERENCE), *variants], settings), settings).chosen


def test_the_fastest_that_keeps_quality_is_chosen():
    assert chosen([variant("a", 1.5), variant("b", 2.0), variant("c", 3.0, drop=0.01)]) == "b"


def test_the_reference_wins_when_nothing_is_surely_better():
    assert chosen([variant("a", 1.5, low=0.9)]) == REFERENCE
    assert chosen([variant("a", 1.02)]) == REFERENCE
    assert chosen([]) == REFERENCE


def test_quality_is_judged_at_the_intervals_bad_end():
    whole = {"eval_share": 1.0}
    assert chosen([variant("a", 2, drop=0.0016)], constraints=whole) == REFERENCE  # 0.0016 keeps 0.002, its bad end not
    assert chosen([variant("a", 2, drop=0.0014)], constraints=whole) == "a"


def test_the_choice_leaves_a_part_of_the_limit_for_the_rows_that_judge():
    entry = variant("a", 2, drop=0.0004)
    assert chosen([entry]) == "a"  # its bad end 0.0009 is within half of 0.002
    half = variant("a", 2, drop=0.0007)
    assert chosen([half]) == REFERENCE
    assert "max_quality_drop is 0.002 and eval_share 0.5 of it" in half.rejected[0]
    assert chosen([half], constraints={"eval_share": 1.0}) == "a"


def test_the_loss_is_bound_beside_the_rank():
    entry = variant("a", 2.0)
    loss = Estimate(value=0.015, low=0.01, high=0.03)
    entry.quality = quality(0.0)
    entry.quality.also = [MetricQuality(metric="log_loss", value=loss, reference=0.4, drop=loss)]
    assert chosen([entry]) == REFERENCE  # 0.015 keeps 0.02, its bad end does not
    assert "log_loss may be worse by 0.03000 of the reference's" in entry.rejected[0]
    assert chosen([entry], constraints={"max_loss_rise": 0.06}) == "a"


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


def test_a_bound_that_is_just_reached_is_kept():
    entry = variant("a", 2.0, low=1.5)
    reached = Estimate(value=0.001, low=0.0, high=0.002)
    entry.quality = quality(0.0, [SliceQuality(column="hour", value="3", rows=60, metric=reached, drop=reached)])
    entry.quality.drop, entry.quality.rows = reached, 200
    entry.quality.also = [MetricQuality(metric="log_loss", value=reached, reference=0.4, drop=reached)]
    constraints = {
        "eval_share": 1.0,
        "max_quality_drop": 0.002,
        "max_loss_rise": 0.002,
        "max_slice_quality_drop": {"hour": 0.002},
        "min_quality_rows": 200,
        "max_size_mb": 0.001,
        "max_p99_ms": 1.0,
    }
    assert chosen([entry], constraints=constraints) == "a"
    for key, less in {"max_quality_drop": 0.0019, "max_size_mb": 0.0009, "max_p99_ms": 0.9}.items():
        assert chosen([entry], constraints={**constraints, key: less}) == REFERENCE
        assert f"{key} {'is ' if 'drop' in key else ''}{less}" in entry.rejected[0]
    assert chosen([entry], constraints={**constraints, "max_size_mb": 0.0009}) == REFERENCE
    assert "size 0.001 MB is above" in entry.rejected[0]


def test_the_gain_that_is_asked_for_must_be_exceeded():
    entry = variant("a", 2.0, low=1.5)
    assert chosen([entry], min_gain=0.5) == REFERENCE
    assert chosen([entry], min_gain=0.49) == "a"


def test_a_byte_above_the_bound_is_too_many():
    assert chosen([variant("a", 2.0, size=1_000_001)], constraints={"max_size_mb": 1}) == REFERENCE
    assert chosen([variant("a", 2.0, size=1_000_000)], constraints={"max_size_mb": 1}) == "a"


def test_of_those_that_surely_gain_the_fastest_is_chosen_not_the_surest():
    assert chosen([variant("fast", 2.0, low=1.2), variant("sure", 1.8, low=1.7)]) == "fast"
    assert chosen([variant("fast", 2.0, low=1.2), variant("sure", 1.8, low=1.7)], min_gain=0.3) == "sure"


def test_what_was_not_measured_gains_nothing():
    entry = variant("a", 2.0)
    entry.latencies[0].speedup = Estimate(value=None, low=None, high=None)
    assert compute_gain(entry, OptimizationConfig()) == (0.0, 0.0)
    entry.latencies, entry.size = [], None
    assert compute_gain(entry, OptimizationConfig()) == (0.0, 0.0)
    assert compute_gain(entry, OptimizationConfig(objective="size")) == (0.0, 0.0)


def test_of_two_as_fast_the_smaller_is_chosen():
    assert chosen([variant("big", 2.0, size=900), variant("small", 2.0, size=800)]) == "small"
    assert chosen([variant("small", 2.0, size=800), variant("big", 2.0, size=900)]) == "small"


def with_rounds(entry: Variant, rounds: list[float], error: float = 0.0) -> Variant:
    entry.latencies[0].round_ms = rounds
    entry.output_error = OutputError(max=error, mean=error, p99=error, decisions_flipped=0, rows=1000, same=False)
    return entry


def test_of_those_that_cannot_be_told_apart_the_smaller_is_chosen_then_the_more_exact():
    """Once 1.1 MB won over 390 kB, both 2.37 times as fast."""
    near = [1.0, 1.02, 0.98, 1.01, 0.99, 1.0] * 4
    big = with_rounds(variant("big", 2.37, size=1100), near)
    small = with_rounds(variant("small", 2.36, size=390), near[::-1], error=1e-3)
    exact = with_rounds(variant("exact", 2.35, size=391), near, error=1e-5)
    far = with_rounds(variant("far", 1.5, size=100), [1.5] * 24)
    assert chosen([big, small, far]) == "small"
    assert chosen([big, small, exact, far]) == "exact"
    assert chosen([big, far]) == "big"
    assert chosen([big, small], objective="throughput") == "small"
    reasons = explain(big, small)
    assert any("cannot be told from small" in reason and "1.100 MB" not in reason for reason in reasons)


def test_a_lead_in_every_round_is_no_tie():
    fast = with_rounds(variant("fast", 2.02, size=900), [1.0] * 12)
    small = with_rounds(variant("small", 2.0, size=100), [1.01] * 12)
    assert chosen([fast, small]) == "fast"


def explain(*variants: Variant) -> list[str]:
    config = OptimizationConfig()
    return choose_variant(judged([variant(REFERENCE), *variants], config), config).reasons


def test_what_was_good_but_not_best_is_told_from_what_gained_nothing():
    first, *others = explain(variant("good", 1.5), variant("best", 2.0), variant("idle", 1.01))
    assert first.startswith("best: 2.00 times as fast")
    assert others == [
        "good: 1.50 times as fast at batch 32 (at least 1.47), and another is better",
        "idle: 1.01 times as fast at batch 32 (at least 0.99), not surely better than the reference",
    ]
    gained_just_enough = variant("a", 1.1, low=1.03)
    assert explain(gained_just_enough)[1].endswith("not surely better than the reference")


def test_what_is_known_of_the_chosen_variant_s_quality_is_said():
    entry, rise = variant("a", 2.0), Estimate(value=0.005, low=0.0, high=0.01)
    entry.quality.also = [MetricQuality(metric="log_loss", value=rise, reference=0.4, drop=rise)]
    [reason] = explain(entry)
    assert reason.endswith(
        "By the 95 % intervals on 1000 rows its auc is worse by at most 0.00050 and its log_loss is worse by at most "
        "1.00% of the reference's."
    )
    for best_case in (0.0, -0.01):
        entry.quality.drop = Estimate(value=-0.01, low=-0.02, high=best_case)
        assert "its auc is worse by at most 0.00000 and" in explain(entry)[0]
    entry.output_error = OutputError(max=1e-7, mean=0.0, p99=0.0, decisions_flipped=0, rows=120, same=True)
    assert explain(entry)[0].endswith("It gives the same answers on all 120 rows (largest difference 1.0e-07).")
    entry.quality = None
    assert explain(entry)[0].endswith("Its quality was not measured.")


def test_a_reference_that_misses_a_bound_is_said():
    config = OptimizationConfig.model_validate({"constraints": {"max_size_mb": 0.0005}})
    [reason] = choose_variant(judged([variant(REFERENCE)], config), config).reasons
    assert reason.endswith("It misses a bound itself: size 0.001 MB is above max_size_mb 0.0005.")
    assert "misses" not in explain()[0]


def test_the_objective_size():
    assert chosen([variant("a", 3.0), variant("b", 0.9, size=300)], objective="size") == "b"


def test_every_other_variant_gets_its_reason():
    failed = Variant(name="broken", techniques=[], status="failed", reason="SIGABRT")
    skipped = Variant(name="late", techniques=[], status="not_tried", reason="the budget was spent")
    config = OptimizationConfig()
    all_of_them = [variant(REFERENCE), variant("a", 2), variant("worse", 3, drop=0.1), failed, skipped]
    reasons = "\n".join(choose_variant(judged(all_of_them, config), config).reasons)
    assert reasons.startswith("a: 2.00 times as fast at batch 32 (at least 1.96)")
    for words in ("broken: failed: SIGABRT", "late: not tried: the budget", "worse: rejected: auc may be worse by 0.1"):
        assert words in reasons


def test_an_unknown_quality_is_not_kept():
    entry = variant("a", 2)
    unknown = Estimate(value=None, low=None, high=None)
    entry.quality = Quality(metric="auc", rows=3, value=unknown, reference=None, drop=unknown)
    assert chosen([entry]) == REFERENCE


@pytest.mark.parametrize(
    ("name", "runtime", "hardware", "why"),
    [
        ("frozen", "tf_serving", "cpu", None),
        ("tflite_int8", "tf_serving", "cpu", "it is made for edge, and optimization.runtime is tf_serving"),
        ("tflite_int8", "tf_serving_tflite", "cpu", None),
        ("tensorrt_fp16", "tf_serving", "cpu", "it needs a GPU, and optimization.hardware is cpu"),
        ("tensorrt_fp16", "tf_serving", "gpu", None),
        ("tensorrt_engine_int8", "triton", "gpu", None),
        (REFERENCE, "triton", "cpu", None),
    ],
)
def test_what_may_be_pushed_where(name, runtime, hardware, why):
    entry = variant(name).model_copy(update={"runtime": find_runtime(name), "hardware": find_hardware(name)})
    config = OptimizationConfig(runtime=runtime, hardware=hardware)
    refusal = find_push_refusal(entry, config)
    assert (refusal and refusal.reason) == why
    assert list_rejections(entry, config) == ([f"not pushable: {why}"] if why else [])


def test_the_pareto_front():
    variants = [variant(REFERENCE), variant("fast", 2, drop=0.01), variant("small", 0.9, size=500)]
    dominated = variant("worse_in_all", 0.8, drop=0.02, size=1500)
    assert list_pareto_front([*variants, dominated], 32) == ["fast", REFERENCE, "small"]


def test_whatever_is_equal_but_bigger_is_not_on_the_pareto_front():
    assert list_pareto_front([variant(REFERENCE), variant("bigger", size=1500)], 32) == [REFERENCE]
    twins = [variant(REFERENCE), variant("twin")]
    assert list_pareto_front(twins, 32) == [REFERENCE, "twin"]


def test_without_a_quality_nothing_is_lost_on_the_pareto_front():
    fast, slow = variant("fast", 2.0), variant("slow", 0.5)
    fast.quality = slow.quality = None
    assert list_pareto_front([variant(REFERENCE), fast], 32) == ["fast"]
    assert list_pareto_front([variant(REFERENCE), slow], 32) == [REFERENCE]


def test_on_the_pareto_front_is_only_what_was_measured_and_can_be_served():
    config = OptimizationConfig()
    unmeasured = Variant(name="frozen+float16", techniques=[], status="failed", reason="SIGABRT")
    elsewhere = variant("tflite_float16", 3.0, size=100)
    elsewhere.runtime = "edge"
    others = [elsewhere, variant("frozen", 2.0), unmeasured]
    front = choose_variant(judged([variant(REFERENCE), *others], config), config).pareto
    assert front == ["frozen"]
    untimed = variant("untimed", size=10)
    untimed.latencies = []
    assert list_pareto_front([untimed, variant(REFERENCE)], 32) == [REFERENCE, "untimed"]


def judged_on(rows: int, metric: str, value: float, high: float) -> Variant:
    entry = variant("float16")
    drop = Estimate(value=value, low=0.0, high=high)
    entry.quality = Quality(metric=metric, rows=rows, value=drop, reference=0.0, drop=drop)
    return entry


def explain_rows(entry: Variant, limit: float, eval_share: float = 1.0) -> str:
    constraints = {"max_quality_drop": limit, "eval_share": eval_share, "min_quality_rows": 0}
    return explain_few_rows([variant(REFERENCE), entry], OptimizationConfig(constraints=constraints))


def test_how_many_rows_would_prove_a_variant_is_said():
    """Of 100 rows none was decided otherwise: 3.84 / 103.84 is above 0.01, and 381 rows are the fewest that do."""
    entry = judged_on(100, "disagreement", 0.0, 3.84 / 103.84)
    said = "float16: as measured within the limits, but 100 rows are too few to prove it; about 381 would."
    assert explain_rows(entry, 0.01) == said
    config = OptimizationConfig(constraints={"max_quality_drop": 0.01, "eval_share": 1.0, "min_quality_rows": 0})
    assert choose_variant(judged([variant(REFERENCE), entry], config), config).reasons[-1] == said


def test_half_an_interval_needs_four_times_the_rows():
    assert "about 400 would" in explain_rows(judged_on(100, "auc", 0.0, 0.02), 0.01)
    assert "about 1,600 would" in explain_rows(judged_on(100, "auc", 0.0, 0.02), 0.01, eval_share=0.5)


def test_rows_are_not_promised_where_they_would_not_help():
    assert explain_rows(judged_on(100, "auc", 0.02, 0.03), 0.01) == ""  # past the limit as measured
    assert explain_rows(judged_on(100, "auc", 0.0, 0.005), 0.01) == ""  # within it
    assert explain_rows(judged_on(100, "disagreement", 0.0, 0.01), 0.0) == ""  # no share is below 0
    assert "too near the limit" in explain_rows(judged_on(100, "auc", 0.00999999, 0.02), 0.01)
