"""The outer loop: calls the inner loop, and runs actions between the calls.

While steps are left, it runs steps up to the next action that is due, runs the action, and looks again. A strategy, a
precision or a compiler is an adaptation of the step (`steps.py`, `strategies.py`), never a second loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.errors import TrainingError
from taxiway.components.processes.phases import record_phase
from taxiway.components.training.data.sources import BatchLayout, BatchSource
from taxiway.components.training.distribution import cluster
from taxiway.components.training.loop.steps import Stepper

LOG = logging.getLogger(__name__)

TARGET_SECONDS = 0.5
"""How long one call into the graph should take: long enough to forget the call, short enough to stop and look."""
FIRST_STEPS = 16
MOST_STEPS = 100_000


class Action:
    """Something the outer loop does between two calls of the inner loop."""

    def next_step(self, step: int) -> int | None:
        """The first step after `step` at which the inner loop must stop for this action; None: it need not."""
        return None

    def is_due(self, loop: Loop) -> bool:
        """Whether to run now."""
        return self.next_step(loop.step - 1) == loop.step

    def run_action(self, loop: Loop) -> None:
        """Does what the action is for. `loop.stop_training(reason)` ends training."""

    def recover_from_error(self, loop: Loop, error: tf.errors.OpError) -> bool:
        """Whether training goes on after a call of the inner loop that failed before its first step."""
        return False

    def end_action(self, loop: Loop) -> None:
        """Called once, after the last step, also when training fails."""


class Loop:
    """Trains a model.

    Args:
        stepper: The model, its optimizer and the compiled steps.
        train: The training rows.
        total_steps: The step at which training ends.
        actions: The actions, in the order in which those that are due run.
        terminated: Whether this process was asked to end.

    Attributes:
        step: Steps taken, those of the runs that this one resumed included.
        rows_per_second: The speed of the last call of the inner loop.
        elapsed: Wall time up to the last call, the same in every process of a cluster.
        terminating: Whether a process of the cluster was asked to end.
        settled: Whether calls of the inner loop have found their size, and the last one did not trace.
        stopped: The reason why training ends before `total_steps`; empty while it does not.
    """

    def __init__(
        self,
        stepper: Stepper,
        train: BatchSource,
        total_steps: int,
        actions: Sequence[Action] = (),
        terminated: Callable[[], bool] = lambda: False,
    ) -> None:
        self.stepper, self.train, self.total_steps, self.actions = stepper, train, total_steps, list(actions)
        self.step = int(stepper.step.numpy())
        self.stopped = ""
        self.rows_per_second = self.norm = self.seconds_before = self.elapsed = 0.0
        self.terminated, self.terminating = terminated, False
        self._sums = np.zeros(2)
        self._steps_per_call = stepper.config.steps_per_loop or FIRST_STEPS
        self.settled = False
        self._data: Any = None
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time, that of the runs that this one resumed included."""
        return self.seconds_before + time.monotonic() - self._started

    @property
    def epoch(self) -> float:
        return self.step / self.train.steps_per_epoch(self.stepper.config.global_batch_size)

    @property
    def seconds_left(self) -> float:
        """To `total_steps`, at the speed of the last call."""
        rows = (self.total_steps - self.step) * self.stepper.config.global_batch_size
        return rows / max(self.rows_per_second, 1e-9)

    @property
    def mean_loss(self) -> float:
        """Mean training loss per unit of weight, since `take_loss` was last called."""
        loss, weight = self._sums
        return float(loss / weight) if weight else float("nan")

    @property
    def sums(self) -> list[float]:
        """What `mean_loss` is made of, for a checkpoint: `[loss sum, weight]`."""
        return [float(s) for s in self._sums]

    def resume_training(self, seconds: float, sums: list[float]) -> None:
        """Goes on where a checkpoint was written."""
        self.step = int(self.stepper.step.numpy())
        self.seconds_before, self._sums = seconds, np.array(sums)

    def stop_training(self, reason: str) -> None:
        """Ends training once the actions that are due now have run."""
        self.stopped = self.stopped or reason

    def run_to_end(self) -> str:
        """Trains to the end. Returns why it ended: `done`, or what was given to `stop_training`.

        Raises:
            TrainingError: a loss or gradient was not finite.
        """
        self._data = self.stepper.open_data(self.train, self.step)
        try:
            while self.step < self.total_steps and not self.stopped:
                self._advance_steps(self._find_next_stop() - self.step)
                for action in self.actions:
                    if action.is_due(self):
                        action.run_action(self)
        finally:
            for action in self.actions:
                action.end_action(self)
        return self.stopped or "done"

    def _find_next_stop(self) -> int:
        wanted = [action.next_step(self.step) for action in self.actions]
        return min([w for w in wanted if w] + [self.total_steps, self.step + self._steps_per_call])

    def use_xla(self, compiled: bool) -> None:
        """Compiles the steps from here on, or no longer does."""
        self.stepper.use_xla(compiled)
        self._data = self.stepper.open_data(self.train, self.step)

    def _advance_steps(self, steps: int) -> None:
        started, traces = time.monotonic(), self.stepper.traces
        try:
            totals = self._call_steps(steps)
        except tf.errors.OpError as error:
            if any(action.recover_from_error(self, error) for action in self.actions):
                return
            if not self.stepper.compiled:
                raise
            raise TrainingError(
                f"The steps, compiled by XLA (training.xla), failed: {error.message[:1000]}",
                "Where XLA cannot compile the model, set training.xla: auto or off.",
            ) from error
        cluster.send_heartbeat()
        seconds = self._share_timing(max(time.monotonic() - started, 1e-9))
        self.step += int(totals["done"])
        self.norm = float(totals["norm"])
        self.rows_per_second = float(totals["done"]) * self.stepper.config.global_batch_size / seconds
        self._sums = totals["sums"]
        if not totals["finite"]:
            raise self._explain_not_finite()
        self._adapt_call_size(steps, seconds, self.stepper.traces != traces)

    def _call_steps(self, steps: int) -> dict[str, np.ndarray]:
        traces = self.stepper.traces
        with record_phase("execute", "training steps") as span:
            totals = self.stepper.run_steps(
                self._data, tf.constant(steps, tf.int64), tf.constant(self._sums, tf.float64)
            )
            arrays = {name: np.asarray(value) for name, value in totals.items()}
            if self.stepper.compiled and self.stepper.traces != traces:
                span.phase = "compile"
        return arrays

    def _share_timing(self, seconds: float) -> float:
        """The mean seconds of a call. Also sets what else every process must see alike."""
        values = [seconds, self.seconds, float(self.terminated())]
        seconds, self.elapsed, terminations = self.stepper.replicas.average_values(values)
        self.terminating = terminations > 0
        return seconds

    def _adapt_call_size(self, steps: int, seconds: float, traced: bool) -> None:
        """More steps a call while a call is short. One that traced is not judged, nor one that an action cut short."""
        full = steps == self._steps_per_call and not self.stepper.config.steps_per_loop
        short = not traced and full and seconds < TARGET_SECONDS / 2
        self.settled = not traced and not short
        if short:
            self._steps_per_call = min(self._steps_per_call * 2, MOST_STEPS)

    def take_loss(self) -> float:
        """`mean_loss`, then resets the sums."""
        loss = self.mean_loss
        self._sums = np.zeros(2)
        return loss

    def _explain_not_finite(self) -> TrainingError:
        step = self.step - 1
        suspects = describe_bad_features(
            self.train, self.stepper.config.global_batch_size, self.stepper.config.seed, step
        )
        return TrainingError(
            f"The loss or its gradient was not finite at step {step} (gradient norm {self.norm:g}); "
            f"nothing of it was applied. {suspects}",
            "Lower training.optimizer.learning_rate, tighten training.clip, mend the features, "
            "or set training.on_nan: skip. The checkpoints before this step are kept.",
        )


LARGE = 1e4


def describe_bad_features(source: BatchSource, batch: int, seed: int, step: int) -> str:
    """A sentence about the features of a step's batch that are not finite, or larger than a scaled feature is."""
    features, _, weights = next(iter(source.make_batches(BatchLayout(batch), seed, step)))
    valid = weights.numpy() > 0
    descriptions = []
    for name, tensor in sorted(features.items()):
        values = tensor.numpy()[valid]
        if values.dtype.kind != "f":
            continue
        bad, large = int((~np.isfinite(values)).sum()), int((np.abs(values) > LARGE).sum())
        if bad or large:
            descriptions.append(f"{name}: {bad} values not finite, {large} beyond {LARGE:g}")
    return (
        f"Features out of range: {'; '.join(descriptions)}."
        if descriptions
        else "No feature of the batch was out of range."
    )
