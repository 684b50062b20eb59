"""The history of a training run: its evaluations and events, as `history.json` holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taxiway.components.training.config import EarlyStopConfig
from taxiway.components.training.model.metrics import is_better

SPEED_KEYS = ("rows_per_second", "seconds")
"""Keys of an evaluation that a repeated run need not repeat; all others are the same bit for bit."""


class History:
    """The evaluations and events of a run.

    Args:
        best_metric: The metric by which a checkpoint is the best.
        early_stop: The rule by which training ends early.
    """

    def __init__(self, best_metric: str, early_stop: EarlyStopConfig) -> None:
        self.best_metric, self.early_stop = best_metric, early_stop
        self.evaluations: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def add_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Adds an evaluation: `step`, `epoch`, `loss`, `learning_rate`, `gradient_norm`, `metrics`, `skipped_steps`,
        `rows_per_second`, `seconds`."""
        self.evaluations.append(evaluation)

    def add_event(self, kind: str, **details: Any) -> None:
        """Adds something worth knowing: `resumed`, `restarted`, `checkpoint_refused`."""
        self.events.append({"kind": kind, **details})

    @property
    def best(self) -> dict[str, Any] | None:
        """The evaluation of the best checkpoint."""
        best: dict[str, Any] | None = None
        for evaluation in self.evaluations:
            value = evaluation["metrics"].get(self.best_metric)
            than = best["metrics"][self.best_metric] if best else None
            if value is not None and is_better(self.best_metric, value, than):
                best = evaluation
        return best

    @property
    def should_stop(self) -> bool:
        """Whether the last `patience` evaluations did not improve by `min_delta`."""
        if not self.early_stop.patience:
            return False
        mark, waited = None, 0
        for evaluation in self.evaluations:
            value = evaluation["metrics"].get(self.best_metric, float("nan"))
            if is_better(self.best_metric, value, mark, self.early_stop.min_delta):
                mark, waited = value, 0
            else:
                waited += 1
        return waited >= self.early_stop.patience

    def collect_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"evaluations": self.evaluations, "events": self.events}

    def restore_state(self, state: dict[str, Any]) -> None:
        self.evaluations, self.events = list(state["evaluations"]), list(state["events"])

    def write_history(self, path: str | Path, summary: dict[str, Any]) -> None:
        """Writes `history.json`: `{"version": 1, ...summary, "evaluations": [...], "events": [...]}`."""
        content = {"version": 1, **summary, **self.collect_state()}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(content, indent=1))
