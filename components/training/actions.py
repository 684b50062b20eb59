"""What the outer loop does between two calls of the inner loop. Each says when; none knows the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from components import progress
from components.errors import ConfigError, TrainingError, close_matches
from components.training.checkpoints import Checkpoints
from components.training.config import CheckpointConfig
from components.training.history import History
from components.training.loop import Action, Loop
from components.training.sources import Source

LOG = logging.getLogger(__name__)


class Saver:
    """Writes checkpoints with everything that is needed to go on."""

    def __init__(self, checkpoints: Checkpoints, history: History) -> None:
        self.checkpoints, self.history = checkpoints, history
        self.last_step = -1
        self.last_seconds = 0.0

    def save(self, loop: Loop) -> None:
        """Writes one, if this step has none yet."""
        if loop.step == self.last_step:
            return
        best = self.history.best
        meta = {"seconds": loop.seconds, "sums": loop.sums, "history": self.history.state()}
        self.checkpoints.save(loop.step, meta, best["step"] if best else None)
        self.last_step, self.last_seconds = loop.step, loop.elapsed


class Evaluate(Action):
    """Evaluates, adds to the history, writes a checkpoint, and ends training that no longer gets better."""

    def __init__(self, source: Source, every: int, total_steps: int, saver: Saver) -> None:
        self.source, self.every, self.total_steps, self.saver = source, every, total_steps, saver
        self.done_step = -1

    def next_step(self, step: int) -> int | None:
        return min((step // self.every + 1) * self.every, self.total_steps)

    def due(self, loop: Loop) -> bool:
        return loop.step != self.done_step and (bool(loop.stopped) or super().due(loop))

    def run(self, loop: Loop) -> None:
        self.done_step = loop.step
        metrics = loop.stepper.evaluate(self.source)
        history = self.saver.history
        if history.best_metric not in metrics:
            raise ConfigError(
                f"training.best_metric {history.best_metric!r} is not evaluated for this task.",
                close_matches(history.best_metric, metrics),
            )
        history.add(evaluation(loop, metrics))
        LOG.info("step %d: %s", loop.step, describe(metrics))
        self.saver.save(loop)
        if history.gives_up:
            loop.stop("early_stop")


def evaluation(loop: Loop, metrics: dict[str, float]) -> dict[str, Any]:
    """One evaluation as the history tells it. `loss` is the mean training loss since the last one."""
    return {
        "step": loop.step,
        "epoch": round(loop.epoch, 6),
        "loss": loop.take_loss(),
        "learning_rate": loop.stepper.rate_at(loop.step),
        "gradient_norm": loop.norm,
        "skipped_steps": int(loop.stepper.skipped.numpy()),
        "metrics": metrics,
        "rows_per_second": loop.rows_per_second,
        "seconds": loop.seconds,
    }


def describe(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())


class Checkpoint(Action):
    """Writes a checkpoint every so many steps, and when too long went by without."""

    def __init__(self, config: CheckpointConfig, saver: Saver) -> None:
        self.config, self.saver = config, saver

    def next_step(self, step: int) -> int | None:
        every = self.config.every_steps
        return (step // every + 1) * every if every else None

    def due(self, loop: Loop) -> bool:
        late = loop.elapsed - self.saver.last_seconds > self.config.every_seconds
        return late or super().due(loop)

    def run(self, loop: Loop) -> None:
        self.saver.save(loop)


class Progress(Action):
    """Tells people how far training is."""

    def __init__(self, history: History, seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.history, self.seconds, self.clock = history, seconds, clock
        self.last = -seconds

    def due(self, loop: Loop) -> bool:
        return self.clock() - self.last >= self.seconds or loop.step >= loop.total_steps

    def run(self, loop: Loop) -> None:
        self.last = self.clock()
        progress.report("Trainer", self.message(loop), loop.step / max(loop.total_steps, 1))

    def message(self, loop: Loop) -> str:
        loss = f"loss {loop.mean_loss:.4f}  " if loop.mean_loss == loop.mean_loss else ""
        speed = f"{loop.rows_per_second / 1000:.0f}k rows/s"
        return f"step {loop.step}/{loop.total_steps}  {loss}{speed}  ETA {loop.seconds_left:.0f} s"


class TimeBudget(Action):
    """Ends training when its time is used up."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def due(self, loop: Loop) -> bool:
        return loop.elapsed > self.seconds

    def run(self, loop: Loop) -> None:
        loop.stop("time_budget")


class Termination(Action):
    """After SIGTERM: saves and ends, within the grace period."""

    def __init__(self, saver: Saver) -> None:
        self.saver = saver

    def due(self, loop: Loop) -> bool:
        return loop.terminating

    def run(self, loop: Loop) -> None:
        self.saver.save(loop)
        raise TrainingError(
            f"Training was asked to end (SIGTERM) and saved a checkpoint at step {loop.step}.",
            "Run the same command again: it goes on from there.",
        )
