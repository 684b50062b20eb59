"""Latency, measured side by side.

Every round lets each variant and the reference take turns, in an order drawn anew, on batches that change from call to
call. A machine's drift then hits all of them alike, and the ratio to the reference is taken within each round. The
samples are analysed here too; that half is plain numpy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.measures.intervals import Interval
from components.optimizer.config import REFERENCE, MeasuringConfig

Call = Callable[[Any], Any]
Samples = dict[str, list[list[float]]]
"""Seconds by variant: `[rounds][calls]`."""

MIN_ROUNDS = 10


def pin(threads: int) -> int:
    """Binds this process to as many cores as it has threads, before TensorFlow starts. Returns how many it got."""
    if not hasattr(os, "sched_setaffinity"):
        return 0
    cores = sorted(os.sched_getaffinity(0))[-threads:]  # the first core takes most interrupts
    os.sched_setaffinity(0, cores)
    return len(cores)


def interleave(
    calls: Mapping[str, Call], batches: Sequence[Any], config: MeasuringConfig, seed: int, deadline: float
) -> Samples:
    """Times several models side by side.

    Args:
        calls: By variant, the reference among them; each is called with one batch.
        batches: At least one; every call of a round gets the next.
        config: Rounds, calls and warm-up.
        seed: Of the order within the rounds.
        deadline: `time.monotonic()` after which no new round starts, once `MIN_ROUNDS` are made.
    """
    order, random = sorted(calls), np.random.default_rng(seed)
    for name in order:
        for i in range(config.warmup_calls):
            calls[name](batches[i % len(batches)])
    samples: Samples = {name: [] for name in order}
    position = 0
    for made in range(config.rounds):
        if made >= MIN_ROUNDS and time.monotonic() > deadline:
            break
        round_batches = [batches[(position + i) % len(batches)] for i in range(config.calls)]
        position += config.calls
        for name in random.permutation(order):
            samples[str(name)].append(_timed(calls[str(name)], round_batches))
    return samples


def _timed(call: Call, batches: Sequence[Any]) -> list[float]:
    """Seconds of each call, after one that is not counted: it brings this model's code and weights into the caches."""
    clock, seconds = time.perf_counter, []
    call(batches[-1])
    for batch in batches:
        start = clock()
        call(batch)
        seconds.append(clock() - start)
    return seconds


def batches_of(rows: NDArray[Any], batch_size: int, count: int, seed: int) -> list[NDArray[Any]]:
    """Batches of rows drawn at random."""
    random = np.random.default_rng(seed)
    return [rows[random.integers(0, len(rows), batch_size)] for _ in range(count)]


def figures(samples: Samples, name: str, batch_size: int, resamples: int, seed: int) -> dict[str, float | int]:
    """Percentiles in milliseconds and rows a second of one variant, and its speed-up as `speedup_*`."""
    seconds = np.array(samples[name])
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1e3
    ratio = speedup(np.array(samples[REFERENCE]), seconds, resamples, seed)
    return {
        "samples": int(seconds.size),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "p99_ms": float(p99),
        "rows_per_second": float(batch_size / seconds.mean()),
        "speedup": ratio.value,
        "speedup_low": ratio.low,
        "speedup_high": ratio.high,
    }


def speedup(reference: NDArray[np.float64], variant: NDArray[np.float64], resamples: int, seed: int) -> Interval:
    """How many times faster than the reference, both `[rounds, calls]` of the same rounds.

    The median over the rounds of the ratio of the rounds' medians; its interval resamples whole rounds, because calls
    of one round share the machine's mood.
    """
    ratios = np.median(reference, axis=1) / np.median(variant, axis=1)
    drawn = np.random.default_rng(seed).integers(0, len(ratios), size=(resamples, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    return Interval(float(np.median(ratios)), float(low), float(high))
