from __future__ import annotations

import time

import numpy as np
import pytest

from taxiway.components.optimizer.config import MeasuringConfig
from taxiway.components.optimizer.measurement import latency
from taxiway.components.optimizer.measurement.race import MIN_ROUNDS, Race
from taxiway.components.optimizer.techniques import REFERENCE


def config(**changes: float) -> MeasuringConfig:
    return MeasuringConfig.model_validate({"rounds": 10, "calls": 3, "warmup_calls": 1, **changes})


def test_every_round_asks_all_of_them_in_changing_order_with_the_same_changing_batches():
    seen: list[tuple[str, int]] = []
    calls = {name: (lambda batch, name=name: seen.append((name, batch))) for name in (REFERENCE, "a", "b")}
    samples = latency.measure_interleaved(calls, list(range(7)), config(), 0, time.monotonic() + 60, Race())
    assert {name: np.array(rounds).shape for name, rounds in samples.items()} == dict.fromkeys(calls, (10, 3))
    timed = seen[3:]  # after the warm-up
    rounds = [timed[i : i + 12] for i in range(0, len(timed), 12)]
    orders = {tuple(dict.fromkeys(name for name, _ in one)) for one in rounds}
    assert len(orders) > 1
    for one in rounds:
        batches = {name: [b for n, b in one if n == name] for name in calls}
        assert batches["a"] == batches["b"] == batches[REFERENCE]
    assert {batch for _, batch in timed} == set(range(7))


def test_after_the_deadline_ten_rounds_are_still_made():
    calls = {REFERENCE: lambda batch: None}
    samples = latency.measure_interleaved(calls, [0], config(rounds=20), 0, time.monotonic() - 1, Race())
    assert len(samples[REFERENCE]) == MIN_ROUNDS


def test_a_machine_that_slows_down_does_not_move_the_ratio():
    random = np.random.default_rng(0)
    drift = np.linspace(1, 5, 40)[:, None]
    reference = drift * (1 + 0.02 * random.random((40, 8)))
    variant = drift * (1 + 0.02 * random.random((40, 8))) / 2
    ratio = latency.estimate_speedup(np.median(reference, axis=1), np.median(variant, axis=1), 300, 0)
    assert ratio.value == pytest.approx(2, rel=0.02)
    assert ratio.low < 2.02
    assert ratio.high - ratio.low < 0.1


def test_figures_are_in_milliseconds_and_rows_a_second():
    samples = {REFERENCE: [[0.002] * 4] * 6, "a": [[0.001] * 4] * 6}
    figures = latency.summarize_samples(samples, "a", 32, 100, 0)
    assert figures["p50_ms"] == pytest.approx(1)
    assert figures["rows_per_second"] == pytest.approx(32_000)
    assert figures["speedup"] == pytest.approx(2)
    assert figures["samples"] == 24


def test_a_variant_whose_place_is_settled_is_timed_no_more(monkeypatch):
    seconds = {REFERENCE: 3.0, "slow": 2.0, "best": 1.0, "twin": 1.0}
    now, random = [0.0], np.random.default_rng(1)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])

    def make_call(name):
        def call(batch):
            now[0] += seconds[name] * (1 + 0.01 * random.random())

        return call

    calls = {name: make_call(name) for name in seconds}
    race = Race(frozenset({"slow", "best", "twin"}), 0.03)
    samples = latency.measure_interleaved(calls, [0], config(rounds=40), 0, time.monotonic() + 60, race)
    rounds = {name: len(made) for name, made in samples.items()}
    assert rounds["slow"] < rounds["best"] == rounds["twin"] == rounds[REFERENCE] == 40
    figures = latency.summarize_samples(samples, "slow", 32, 100, 0)
    assert len(figures["round_ms"]) == rounds["slow"]
    assert figures["speedup"] == pytest.approx(1.5, rel=0.02)


def test_where_all_is_settled_the_measurement_ends():
    calls = {REFERENCE: lambda batch: time.sleep(0.002), "a": lambda batch: None}
    samples = latency.measure_interleaved(calls, [0], config(rounds=100), 0, time.monotonic() + 60, Race())
    assert len(samples["a"]) == len(samples[REFERENCE]) <= 20
