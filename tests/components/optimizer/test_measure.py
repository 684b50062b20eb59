from __future__ import annotations

import time

import numpy as np
import pytest

from components.optimizer import measure
from components.optimizer.config import REFERENCE, MeasuringConfig


def config(**changes: float) -> MeasuringConfig:
    return MeasuringConfig.model_validate({"rounds": 10, "calls": 3, "warmup_calls": 1, **changes})


def test_every_round_asks_all_of_them_in_changing_order_with_the_same_changing_batches():
    seen: list[tuple[str, int]] = []
    calls = {name: (lambda batch, name=name: seen.append((name, batch))) for name in (REFERENCE, "a", "b")}
    samples = measure.interleave(calls, list(range(7)), config(), 0, time.monotonic() + 60)
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
    samples = measure.interleave(calls, [0], config(rounds=20), 0, time.monotonic() - 1)
    assert len(samples[REFERENCE]) == measure.MIN_ROUNDS


def test_a_machine_that_slows_down_does_not_move_the_ratio():
    random = np.random.default_rng(0)
    drift = np.linspace(1, 5, 40)[:, None]
    reference = drift * (1 + 0.02 * random.random((40, 8)))
    variant = drift * (1 + 0.02 * random.random((40, 8))) / 2
    ratio = measure.speedup(reference, variant, 300, 0)
    assert ratio.value == pytest.approx(2, rel=0.02)
    assert ratio.low < 2.02
    assert ratio.high - ratio.low < 0.1


def test_figures_are_in_milliseconds_and_rows_a_second():
    samples = {REFERENCE: [[0.002] * 4] * 6, "a": [[0.001] * 4] * 6}
    figures = measure.figures(samples, "a", 32, 100, 0)
    assert figures["p50_ms"] == pytest.approx(1)
    assert figures["rows_per_second"] == pytest.approx(32_000)
    assert figures["speedup"] == pytest.approx(2)
    assert figures["samples"] == 24
