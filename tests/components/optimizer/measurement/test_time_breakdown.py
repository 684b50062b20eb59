from __future__ import annotations

from taxiway.components.optimizer.measurement.time_breakdown import describe_time_breakdown
from taxiway.components.optimizer.report import Estimate, Latency, Variant
from taxiway.components.optimizer.techniques import REFERENCE
from tests.components.optimizer.test_decision import variant


def timed(name: str, whole_ms: float, core_ms: float, speed: float = 1.0) -> Variant:
    made = variant(name, speed)
    whole = made.latencies[0].model_copy(update={"p50_ms": whole_ms})
    core = whole.model_copy(update={"path": "core", "p50_ms": core_ms, "speedup": Estimate(value=1, low=1, high=1)})
    return made.model_copy(update={"latencies": [Latency.model_validate(x.model_dump()) for x in (whole, core)]})


def test_where_parsing_and_transform_dominate_it_says_so_and_what_was_done():
    (said,) = describe_time_breakdown([timed(REFERENCE, 0.5, 0.1), timed("frozen", 0.4, 0.1, 1.25)], 32)
    assert "80% on parsing and transform (0.400 of 0.500 ms)" in said
    assert "They dominate" in said
    assert "frozen makes the whole path 1.25 times" in said


def test_where_the_model_dominates_nothing_is_claimed():
    (said,) = describe_time_breakdown([timed(REFERENCE, 2.0, 1.5)], 32)
    assert "25% on parsing and transform" in said
    assert "dominate" not in said


def test_without_a_core_nothing_is_said():
    assert describe_time_breakdown([variant(REFERENCE)], 32) == []
