"""Latency, measured side by side.

Every round lets each variant and the reference take turns, in a newly drawn order, on batches that change from call to
call. A change of the machine's speed then concerns all of them alike, and the ratio to the reference is taken within
each round. A variant whose place is settled is timed no more (`race`). The samples are summarized here too, in plain
numpy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxiway.components.metrics.intervals import Interval
from taxiway.components.optimizer.config import MeasuringConfig
from taxiway.components.optimizer.measurement.race import LOOKS, MIN_ROUNDS, Race
from taxiway.components.optimizer.techniques import REFERENCE

Call = Callable[[Any], Any]
Samples = dict[str, list[list[float]]]
"""Seconds by variant: `[rounds][calls]`."""


def pin_cores(threads: int) -> int:
    """Binds this process to as many cores as it has threads, before TensorFlow starts. Returns how many it got."""
    if not hasattr(os, "sched_setaffinity"):
        return 0
    cores = sorted(os.sched_getaffinity(0))[-threads:]  # the first core takes most interrupts
    os.sched_setaffinity(0, cores)
    return len(cores)


def measure_interleaved(
    calls: Mapping[str, Call],
    batches: Sequence[Any],
    config: MeasuringConfig,
    seed: int,
    deadline: float,
    race: Race,
) -> Samples:
    """Times several models side by side, each as long as the race has not settled its place.

    Args:
        calls: Functions of one batch by variant, the reference among them.
        batches: Batches, at least one; every call of a round gets the next.
        config: Configuration of rounds, calls and warm-up.
        seed: Seed of the order within the rounds.
        deadline: Value of `time.monotonic()` after which no new round starts, once `MIN_ROUNDS` are made.
        race: What the measurement is to settle.
    """
    order, random = sorted(calls), np.random.default_rng(seed)
    for name in order:
        for i in range(config.warmup_calls):
            calls[name](batches[i % len(batches)])
    samples: Samples = {name: [] for name in order}
    position = 0
    for round_number in range(config.rounds):
        if round_number >= MIN_ROUNDS and time.monotonic() > deadline:
            break
        if round_number in LOOKS:
            open_now = race.list_open({name: _take_medians(samples[name]) for name in samples})
            order = [name for name in order if name in open_now]
        if not order:
            break
        round_batches = [batches[(position + i) % len(batches)] for i in range(config.calls)]
        position += config.calls
        for name in random.permutation(order):
            samples[str(name)].append(_time_calls(calls[str(name)], round_batches))
    return samples


def _take_medians(rounds: list[list[float]]) -> list[float]:
    return [float(np.median(seconds)) for seconds in rounds]


def _time_calls(call: Call, batches: Sequence[Any]) -> list[float]:
    """Seconds of each call, after one that is not timed: it brings the model's code and weights into the caches."""
    clock, seconds = time.perf_counter, []
    call(batches[-1])
    for batch in batches:
        start = clock()
        call(batch)
        seconds.append(clock() - start)
    return seconds


def summarize_samples(samples: Samples, name: str, batch_size: int, resamples: int, seed: int) -> dict[str, Any]:
    """Percentiles in milliseconds and rows a second of one variant, and its speed-up as `speedup_*`."""
    seconds = np.array(samples[name])
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1e3
    reference = np.array(samples[REFERENCE][: len(seconds)])
    ratio = estimate_speedup(np.median(reference, axis=1), np.median(seconds, axis=1), resamples, seed)
    return {
        "samples": int(seconds.size),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "p99_ms": float(p99),
        "rows_per_second": float(batch_size / seconds.mean()),
        "round_ms": [round(median * 1e3, 6) for median in _take_medians(samples[name])],
        "speedup": ratio.value,
        "speedup_low": ratio.low,
        "speedup_high": ratio.high,
    }


def estimate_speedup(
    reference: NDArray[np.float64], variant: NDArray[np.float64], resamples: int, seed: int
) -> Interval:
    """How many times faster than the reference, from the medians `[rounds]` of the same rounds.

    The median over the rounds of the ratio of the rounds' medians; its interval resamples whole rounds, because calls
    of one round share the load of the machine.
    """
    ratios = reference / variant
    drawn = np.random.default_rng(seed).integers(0, len(ratios), size=(resamples, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    return Interval(float(np.median(ratios)), float(low), float(high))
