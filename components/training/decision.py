"""Fits how logits become probabilities and a label, on rows that training has not seen. NumPy and SciPy only.

The temperature is Guo et al.'s (2017): one number that divides all logits, the one of the least log loss. Class weights
move a model's logits by their logarithms (King and Zeng, 2001); these are taken off first, so that probabilities are
those of the data and not of the weighted data. Neither changes the order of a binary model's scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from taxiway.components.contract import Task
from taxiway.components.metrics.calibration_error import compute_calibration_error, sum_gaps
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.saved_models.decision_rule import DecisionRule
from taxiway.components.training.config import DecisionConfig, TrainingConfig

FEWEST_ROWS = 200
"""Rows from which on a temperature or a threshold is fitted: with fewer it would follow chance."""
FEWEST_OF_A_CLASS = 10
"""Rows of a class from which on a threshold is fitted for it."""
WIDEST = math.log(20.0)
"""The temperature lies within 1/20 and 20; a model that needs another one has not learned."""


@dataclass(frozen=True)
class JudgedRows:
    """What a model says of rows whose labels are known.

    Attributes:
        logits: float64 `[rows, 1]` (binary) or `[rows, classes]`.
        labels: Class indices, int64 `[rows]`.
        weights: float64 `[rows]`; 1 where rows weigh the same.
    """

    logits: Floats
    labels: Floats
    weights: Floats


def fit_decision_rule(
    judged: JudgedRows, task: Task, config: TrainingConfig, class_weights: Sequence[float] | None = None
) -> DecisionRule:
    """The rule that suits the rows of `eval`.

    Args:
        judged: Logits of the model that is exported.
        task: `binary` or `multiclass`.
        config: Its `calibration` and `decision` count.
        class_weights: The weights of the classes in training; None where all weigh 1.
    """
    rows, notes = len(judged.labels), list[str]()
    offsets = compute_offsets(class_weights) if config.calibration == "temperature" else ()
    shifted = take_off(judged.logits, offsets)
    temperature = 1.0
    if config.calibration == "temperature" and rows >= FEWEST_ROWS:
        temperature = fit_temperature(shifted, judged.labels, judged.weights)
    elif config.calibration == "temperature":
        notes.append(f"no temperature was fitted: eval has {rows} rows, at least {FEWEST_ROWS} are wanted")
    scores = compute_scores(shifted / temperature)
    measured = {
        **_measure_scores("before", compute_scores(judged.logits), judged),
        **_measure_scores("after", scores, judged),
    }
    threshold = config.decision.threshold
    if task == "binary":
        found, note = choose_threshold(judged.labels, scores[:, 0], judged.weights, config.decision)
        threshold = found.threshold
        notes += [note] if note else []
        measured |= found.measure_costs(config.decision)
    return DecisionRule(
        temperature=temperature,
        offsets=offsets,
        goal=config.decision.goal if task == "binary" else "likeliest",
        threshold=threshold if task == "binary" else 0.5,
        rows=rows,
        measured=measured,
        notes=tuple(notes),
    )


# ---- probabilities ----


def compute_offsets(class_weights: Sequence[float] | None) -> tuple[float, ...]:
    """The logarithms of class weights; a class without weight was never learned, and nothing is taken off it."""
    if class_weights is None or len(set(class_weights)) <= 1:
        return ()
    return tuple(math.log(weight) if weight > 0 else 0.0 for weight in class_weights)


def take_off(logits: Floats, offsets: Sequence[float]) -> Floats:
    """Logits without the offsets; one logit a row is the second class's against the first one's."""
    if not offsets:
        return logits
    return logits - (np.asarray(offsets) if logits.shape[1] > 1 else offsets[1] - offsets[0])


def compute_scores(logits: Floats) -> Floats:
    """Probabilities of the same shape."""
    scores = special.expit(logits) if logits.shape[1] == 1 else special.softmax(logits, axis=1)
    return np.asarray(scores, np.float64)


def fit_temperature(logits: Floats, labels: Floats, weights: Floats) -> float:
    """The temperature with the least log loss of `logits / temperature`, within 1/20 and 20."""

    def compute_loss(exponent: float) -> float:
        return _compute_log_loss(logits * math.exp(-exponent), labels, weights)

    found = optimize.minimize_scalar(compute_loss, bounds=(-WIDEST, WIDEST), method="bounded", options={"xatol": 1e-6})
    return float(math.exp(found.x)) if found.fun < compute_loss(0.0) else 1.0


def _compute_log_loss(logits: Floats, labels: Floats, weights: Floats) -> float:
    """The mean log loss, from logits: no probability is rounded to 0."""
    if logits.shape[1] == 1:
        losses = np.logaddexp(0.0, np.where(labels > 0, -logits[:, 0], logits[:, 0]))
    else:
        losses = special.logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels.astype(np.int64)]
    return float(np.average(losses, weights=weights))


def _measure_scores(when: str, scores: Floats, judged: JudgedRows) -> dict[str, float]:
    """Log loss and expected calibration error: of the positive class, or of the likeliest one of several."""
    labels = judged.labels.astype(np.int64)
    if scores.shape[1] == 1:
        hits, said = judged.labels.astype(np.float64), scores[:, 0]
        own = np.where(labels > 0, said, 1 - said)
    else:
        hits, said = (scores.argmax(axis=1) == labels).astype(np.float64), scores.max(axis=1)
        own = scores[np.arange(len(labels)), labels]
    return {
        f"log_loss_{when}": float(np.average(-np.log(np.clip(own, 1e-7, 1)), weights=judged.weights)),
        f"ece_{when}": float(compute_calibration_error(sum_gaps(hits, said), len(said))),
    }


# ---- the threshold ----


@dataclass(frozen=True)
class Decision:
    """A threshold and the weights of rows that it decides: true and false positives, and those that it misses."""

    threshold: float
    true_positives: float
    false_positives: float
    missed: float

    def measure_costs(self, config: DecisionConfig) -> dict[str, float]:
        """`precision`, `recall`, `f1` and `cost`; 0 where nothing was decided for the positive class."""
        decided, positives = self.true_positives + self.false_positives, self.true_positives + self.missed
        return {
            "precision": self.true_positives / decided if decided else 0.0,
            "recall": self.true_positives / positives if positives else 0.0,
            "f1": 2 * self.true_positives / (decided + positives) if decided + positives else 0.0,
            "cost": self.false_positives * config.false_positive_cost + self.missed * config.false_negative_cost,
        }


def choose_threshold(labels: Floats, scores: Floats, weights: Floats, config: DecisionConfig) -> tuple[Decision, str]:
    """The threshold that reaches the goal best among all that decide these rows differently, and a note or nothing.

    Args:
        labels: 0 or 1, `[rows]`.
        scores: Probabilities of 1, `[rows]`; a row is decided for 1 above the threshold.
        weights: `[rows]`.
        config: The section `training.decision`.
    """
    positive = labels > 0
    few = int(min(positive.sum(), (~positive).sum()))
    if config.goal == "fixed":
        return _decide(config.threshold, positive, scores, weights), ""
    if len(labels) < FEWEST_ROWS or few < FEWEST_OF_A_CLASS:
        note = (
            f"no threshold was fitted for the goal {config.goal!r}: eval has {len(labels)} rows and {few} of the rarer "
            f"class, at least {FEWEST_ROWS} and {FEWEST_OF_A_CLASS} are wanted; {config.threshold:g} stands"
        )
        return _decide(config.threshold, positive, scores, weights), note
    thresholds, gained, risen = _sweep_thresholds(positive, scores, weights)
    place, note = _find_best(gained, risen, float(weights[positive].sum()), config)
    return _decide(float(thresholds[place]), positive, scores, weights), note


def _decide(threshold: float, positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> Decision:
    above = scores > threshold
    return Decision(
        threshold,
        float(weights[above & positive].sum()),
        float(weights[above & ~positive].sum()),
        float(weights[~above & positive].sum()),
    )


def _sweep_thresholds(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """All thresholds that matter, from deciding no row for 1 to all, with the weights of true and false positives."""
    values, place = np.unique(scores, return_inverse=True)
    own = np.bincount(place, weights * positive, len(values))[::-1]
    others = np.bincount(place, weights * ~positive, len(values))[::-1]
    edges = np.concatenate([[0.0], values, [1.0]])[::-1]
    middles = (edges[1:] + edges[:-1]) / 2
    # The graph compares in float32, in which a middle may be the upper one of two neighbours: then the lower is right.
    upper = edges[:-1].astype(np.float32)
    rounded = np.where(middles.astype(np.float32) < upper, middles.astype(np.float32), edges[1:].astype(np.float32))
    return rounded.astype(np.float64), np.cumsum(np.r_[0.0, own]), np.cumsum(np.r_[0.0, others])


def _find_best(gained: Floats, risen: Floats, positives: float, config: DecisionConfig) -> tuple[int, str]:
    """The place of the best threshold for the goal."""
    if config.goal == "f1":
        return int(np.argmax(2 * gained / (gained + risen + positives))), ""
    if config.goal == "cost":
        cost = risen * config.false_positive_cost + (positives - gained) * config.false_negative_cost
        return int(np.argmin(cost)), ""
    precision = np.divide(gained, gained + risen, out=np.zeros_like(gained), where=gained + risen > 0)
    reached = precision >= config.precision
    if reached.any():
        return int(np.argmax(np.where(reached, gained, -1.0))), ""
    best = int(np.argmax(precision))
    return best, (
        f"no threshold has a precision of {config.precision:g} on eval; the best, {precision[best]:.4g}, is taken"
    )
