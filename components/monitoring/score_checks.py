"""Served scores against the scores on rows of `eval`, which the version carries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from taxiway.components.contract import Task
from taxiway.components.distributions.shares import bound_quantile_change, bound_share_change, measure_quantile_change
from taxiway.components.distributions.thresholds import Distances
from taxiway.components.monitoring.findings import Difference

CHECKS_A_SCORE = 3
BINS = 10


def check_scores(
    served: np.ndarray, reference: np.ndarray, task: Task, classes: Sequence[str], bounds: Distances, rate: float
) -> Iterator[Difference]:
    """Three measures for each output of a row.

    Args:
        served: Scores of the window, `[rows, outputs]`, NaN where an answer did not hold them.
        reference: Scores on `eval`, `[rows, outputs]`.
        task: Task of the model.
        classes: Names of the classes, in order; may be empty.
        bounds: Limits; None of them: not measured.
        rate: Error rate of one check.
    """
    for output in range(reference.shape[1]):
        name = _name_output(output, reference.shape[1], task, classes)
        yield from _check_output(name, served[:, output], reference[:, output], task, bounds, rate)


def _name_output(output: int, outputs: int, task: Task, classes: Sequence[str]) -> str:
    if task == "regression":
        return "prediction"
    index = output if outputs > 1 else 1
    return f"probability of {classes[index] if index < len(classes) else f'class {index}'}"


def _check_output(
    name: str, served: np.ndarray, reference: np.ndarray, task: Task, bounds: Distances, rate: float
) -> Iterator[Difference]:
    numbers = served[np.isfinite(served)]
    sizes = (len(reference), len(numbers))
    if not all(sizes):
        return
    if bounds.infinity_norm is not None:
        shares = np.arange(1, BINS) / BINS
        edges = np.quantile(reference, shares, method="inverted_cdf")
        change, edge = measure_quantile_change(edges, shares, numbers)
        chance = bound_quantile_change(len(edges), sizes, rate)
        words = (
            f"{name}: the share of scores up to {edge:.3g} differs by {change:.1%} from that on eval; the mean is "
            f"{numbers.mean():.3g}, on eval {reference.mean():.3g}"
        )
        yield Difference(
            "scores", name, "L-infinity distance of the cumulative shares", change, bounds.infinity_norm, chance, words
        )
        if task != "regression":
            yield _check_mean(name, numbers, reference, bounds.infinity_norm, rate)
    if bounds.jensen_shannon is not None:
        yield _check_divergence(name, numbers, reference, bounds.jensen_shannon, rate)


def _check_mean(name: str, numbers: np.ndarray, reference: np.ndarray, limit: float, rate: float) -> Difference:
    """The mean probability of a class is the share of rows that the model expects of it."""
    change = abs(float(numbers.mean() - reference.mean()))
    chance = bound_share_change(float(reference.mean()), float(numbers.mean()), (len(reference), len(numbers)), rate)
    words = f"{name}: the mean is {numbers.mean():.3g}, on eval {reference.mean():.3g}"
    return Difference("scores", name, "change of the mean", change, limit, chance, words)


def _check_divergence(name: str, numbers: np.ndarray, reference: np.ndarray, limit: float, rate: float) -> Difference:
    """Jensen-Shannon divergence, in bits, of the histograms between the deciles on `eval`, ends open."""
    from scipy import special

    inner = np.unique(np.quantile(reference, np.arange(1, BINS) / BINS))
    first, second = (
        np.bincount(np.searchsorted(inner, each, "left"), minlength=len(inner) + 1) for each in (reference, numbers)
    )
    divergence = compute_divergence(first / len(reference), second / len(numbers))
    spread = 1 / len(reference) + 1 / len(numbers)
    chance = float(special.chdtri(max(len(inner), 1), rate)) * spread / 8 / math.log(2)
    words = f"{name}: the Jensen-Shannon divergence from the scores on eval is {divergence:.3g}, allowed is {limit:g}"
    return Difference("scores", name, "Jensen-Shannon divergence", divergence, limit, chance, words)


def compute_divergence(first: np.ndarray, second: np.ndarray) -> float:
    """The Jensen-Shannon divergence of two distributions over the same bins, in bits: 0 to 1."""
    from scipy import special

    middle = (first + second) / 2
    return float((special.rel_entr(first, middle) + special.rel_entr(second, middle)).sum() / 2 / math.log(2))
