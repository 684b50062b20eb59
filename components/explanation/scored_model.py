"""A model as a function of rows, with the metric by which it is judged and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from taxiway.components.contract import LOWER_IS_BETTER, Task
from taxiway.components.explanation.rows import Values
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.weighted import EVEN, build_metric

Predict = Callable[[Values], Floats]
"""Serialized rows to the scores of `serving_default`: float `[rows, 1]` or `[rows, classes]`."""
BATCH_ROWS = 2048


@dataclass(frozen=True)
class ScoredModel:
    """What is asked, and how it is judged.

    Attributes:
        predict: The model.
        task: `binary`, `multiclass` or `regression`.
        metric: Name of the main metric.
        classes: Names of the classes in the order of the scores; may be empty.
        threshold: Score above which a binary model decides for the positive class.
    """

    predict: Predict
    task: Task
    metric: str
    classes: Sequence[str] = field(default=())
    threshold: float = EVEN

    def score_rows(self, rows: Values, deadline: Deadline | None = None) -> Floats:
        """float64 `[rows, 1]` or `[rows, classes]`, asked batch by batch; with a deadline perhaps of the first rows
        only, those of one batch at least."""
        parts = []
        for start in range(0, len(rows), BATCH_ROWS):
            parts.append(np.asarray(self.predict(rows[start : start + BATCH_ROWS]), np.float64))
            if deadline and deadline.is_past():
                break
        return np.concatenate([part.reshape(len(part), -1) for part in parts])

    def measure_loss_of_quality(self, labels: Floats, before: Floats, after: Floats) -> float:
        """How much worse the metric of `after` is than that of `before`; below zero where it is better."""
        change = self.compute_metric(labels, after) - self.compute_metric(labels, before)
        return change if self.metric in LOWER_IS_BETTER else -change

    def compute_metric(self, labels: Floats, scores: Floats) -> float:
        """The main metric; NaN where it is not defined."""
        metric = build_metric(self.metric, labels, scores, self.classes, self.threshold)
        return float(metric(np.ones((1, len(labels))))[0])


class Deadline:
    """The end of the time that was given, by a clock that only goes forward."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start, self._seconds = clock, clock(), seconds

    def is_past(self, share: float = 1.0) -> bool:
        """Whether this share of the time is spent."""
        return self._clock() > self._start + share * self._seconds

    def limit(self, share: float) -> Deadline:
        """The deadline when this share of the time is spent."""
        earlier = Deadline(share * self._seconds, self._clock)
        earlier._start = self._start
        return earlier
