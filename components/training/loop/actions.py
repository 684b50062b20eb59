"""The actions that the outer loop runs between two calls of the inner loop. None knows the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from taxiway.components.errors import ConfigError, TrainingStoppedError, suggest_matches
from taxiway.components.processes import progress
from taxiway.components.training.config import CheckpointConfig
from taxiway.components.training.data.sources import BatchSource
from taxiway.components.training.loop.checkpoints import Checkpoints
from taxiway.components.training.loop.history import History
from taxiway.components.training.loop.loop import Action, Loop

LOG = logging.getLogger(__name__)


class EvaluationKeeper(Protocol):
    """What keeps an evaluation, and perhaps the weights that it judged."""

    history: History

    def save_checkpoint(self, loop: Loop) -> None:
        """Keeps the weights of this step."""


class CheckpointSaver:
    """Writes checkpoints with everything that training needs to resume."""

    def __init__(self, checkpoints: Checkpoints, history: History) -> None:
        self.checkpoints, self.history = checkpoints, history
        self.last_step = -1
        self.last_seconds = 0.0

    def save_checkpoint(self, loop: Loop) -> None:
        """Writes one, if this step has none yet."""
        if loop.step == self.last_step:
            return
        best = self.history.best
        meta = {"seconds": loop.seconds, "sums": loop.sums, "history": self.history.collect_state()}
        self.checkpoints.write_checkpoint(loop.step, meta, best["step"] if best else None)
        self.last_step, self.last_seconds = loop.step, loop.elapsed


class EvaluationAction(Action):
    """Evaluates, adds to the history, writes a checkpoint, and ends training that no longer gets better."""

    def __init__(self, source: BatchSource, every: int, total_steps: int, saver: EvaluationKeeper) -> None:
        self.source, self.every, self.total_steps, self.saver = source, every, total_steps, saver
        self.done_step = -1

    def next_step(self, step: int) -> int | None:
        return min((step // self.every + 1) * self.every, self.total_steps)

    def is_due(self, loop: Loop) -> bool:
        return loop.step != self.done_step and (bool(loop.stopped) or super().is_due(loop))

    def run_action(self, loop: Loop) -> None:
        self.done_step = loop.step
        metrics = loop.stepper.evaluate_split(self.source)
        history = self.saver.history
        if history.best_metric not in metrics:
            raise ConfigError(
                f"training.best_metric {history.best_metric!r} is not evaluated for this task.",
                suggest_matches(history.best_metric, metrics),
            )
        history.add_evaluation(build_evaluation(loop, metrics))
        LOG.info("step %d: %s", loop.step, format_metrics(metrics))
        self.saver.save_checkpoint(loop)
        if history.should_stop:
            loop.stop_training("early_stop")


def build_evaluation(loop: Loop, metrics: dict[str, float]) -> dict[str, Any]:
    """One evaluation, as the history keeps it. `loss` is the mean training loss since the last one."""
    return {
        "step": loop.step,
        "epoch": round(loop.epoch, 6),
        "loss": loop.take_loss(),
        "learning_rate": loop.stepper.compute_rate(loop.step),
        "gradient_norm": loop.norm,
        "skipped_steps": int(loop.stepper.skipped.numpy()),
        "metrics": metrics,
        "rows_per_second": loop.rows_per_second,
        "seconds": loop.seconds,
    }


def format_metrics(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())


class CheckpointAction(Action):
    """Writes a checkpoint every so many steps, and when none was written for too long."""

    def __init__(self, config: CheckpointConfig, saver: CheckpointSaver) -> None:
        self.config, self.saver = config, saver

    def next_step(self, step: int) -> int | None:
        every = self.config.every_steps
        return (step // every + 1) * every if every else None

    def is_due(self, loop: Loop) -> bool:
        late = loop.elapsed - self.saver.last_seconds > self.config.every_seconds
        return late or super().is_due(loop)

    def run_action(self, loop: Loop) -> None:
        self.saver.save_checkpoint(loop)


class ProgressAction(Action):
    """Reports the step, the loss, the speed and the time left."""

    def __init__(self, history: History, seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.history, self.seconds, self.clock = history, seconds, clock
        self.last = -seconds

    def is_due(self, loop: Loop) -> bool:
        return self.clock() - self.last >= self.seconds or loop.step >= loop.total_steps

    def run_action(self, loop: Loop) -> None:
        self.last = self.clock()
        progress.report_progress("Trainer", self.format_message(loop), loop.step / max(loop.total_steps, 1))

    def format_message(self, loop: Loop) -> str:
        loss = f"loss {loop.mean_loss:.4f}  " if loop.mean_loss == loop.mean_loss else ""
        speed = f"{loop.rows_per_second / 1000:.0f}k rows/s"
        return f"step {loop.step}/{loop.total_steps}  {loss}{speed}  ETA {loop.seconds_left:.0f} s"


class TimeBudgetAction(Action):
    """Ends training when `training.time_budget_seconds` is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def is_due(self, loop: Loop) -> bool:
        return loop.elapsed > self.seconds

    def run_action(self, loop: Loop) -> None:
        loop.stop_training("time_budget")


class TerminationAction(Action):
    """After SIGTERM: saves and ends, within the grace period."""

    def __init__(self, saver: CheckpointSaver) -> None:
        self.saver = saver

    def is_due(self, loop: Loop) -> bool:
        return loop.terminating

    def run_action(self, loop: Loop) -> None:
        self.saver.save_checkpoint(loop)
        raise TrainingStoppedError(
            f"Training was asked to end (SIGTERM) and saved a checkpoint at step {loop.step}.",
            "Run the same command again: it goes on from there.",
        )
