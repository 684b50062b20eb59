"""Steps of a parameter-server cluster: dispatched to the workers, which take them when they are free.

It is the same step as everywhere; what differs is who runs it. A worker holds all rows and is told which steps to take,
so that each row of an epoch is seen exactly once, whichever worker is faster. A step whose worker dies is taken again
by another.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import tensorflow as tf

from components.errors import TrainingError
from components.training import sources
from components.training.model import build_model
from components.training.optimizers import build_optimizer
from components.training.steps import Stepper, Totals
from components.training.strategies import Replicas

LOG = logging.getLogger(__name__)

STEPS_PER_TASK = 16
"""Steps dispatched at once: enough to forget the dispatch, few enough to keep every worker busy to the end."""
_SHARD = re.compile(r"/part_\d+(:\d+)?$")


class AsyncStepper(Stepper):
    """A `Stepper` of the chief of a parameter-server cluster."""

    def begin(self, source: sources.Source, first_step: int) -> Any:
        """An iterator of all rows, on each worker. Which of them a step takes is told with the step."""
        if source.recipe is None:
            raise TrainingError("The workers cannot read these rows: no files are known.", "Train from files.")
        recipe, rows = source.recipe, source.rows
        parts = [weight.name for weight in self.model.weights if _SHARD.search(weight.name)]
        tables = sorted({_SHARD.sub("", name) for name in parts})
        LOG.info(
            "%d parts of large variables on the parameter servers: %s", len(parts), ", ".join(tables) or "none is large"
        )
        layout = self.replicas.layout(self.config.global_batch_size, self.config.accumulate)
        self.order = sources.Order(rows, layout, self.config.seed, self.config.input.shuffle)
        self.take_steps = tf.function(self._take_steps, autograph=self.autograph)
        return iter(self.replicas.coordinator.create_per_worker_dataset(lambda: recipe.rows(rows)))

    def use_xla(self, compiled: bool) -> None:
        super().use_xla(compiled)
        self.run_steps = self._dispatch

    def _dispatch(self, iterator: Any, num_steps: tf.Tensor, sums: tf.Tensor) -> Totals:
        """Dispatches `num_steps` steps and waits for all; see `Stepper._run_steps`."""
        first, left, waiting = int(self.step.numpy()), int(num_steps), []
        while left:
            count = min(left, STEPS_PER_TASK)
            arguments = (iterator, tf.constant(first, tf.int64), tf.constant(count, tf.int64))
            waiting.append(self.replicas.coordinator.schedule(self.take_steps, args=arguments))
            first, left = first + count, left - count
        self.replicas.coordinator.join()
        self.step.assign_add(num_steps)
        results = [remote.fetch() for remote in waiting]
        return {
            "sums": np.asarray(sums) + np.sum([r["sums"] for r in results], axis=0),
            "norm": results[-1]["norm"],
            "finite": all(bool(r["finite"]) for r in results),
            "done": num_steps,
        }

    def _take_steps(self, iterator: Any, first: tf.Tensor, count: tf.Tensor) -> Totals:
        """On a worker: the steps from `first` on."""
        self.traces += 1
        data = next(iterator)
        start = {"sums": tf.zeros([2], tf.float64), "norm": tf.zeros([]), "finite": tf.constant(True)}

        def body(done: tf.Tensor, totals: Totals) -> tuple[tf.Tensor, Totals]:
            blocks = range(self.config.accumulate)
            batches = tuple(self.order.block(data, first + done, tf.constant(b, tf.int64)) for b in blocks)
            loss, weight, norm, finite = self._take_step(batches, first + done)
            sums = totals["sums"] + tf.cast(tf.stack([loss, weight]), tf.float64)
            return done + 1, {"sums": sums, "norm": norm, "finite": totals["finite"] & finite}

        going = lambda done, totals: totals["finite"] & (done < count)  # noqa: E731
        return tf.while_loop(going, body, (tf.zeros([], tf.int64), start))[1]

    def evaluate(self, source: sources.Source) -> dict[str, float]:
        """The metrics of a split, computed on the chief with a copy of the weights."""
        with tf.device("/job:chief/task:0/cpu:0"):
            plain = getattr(self, "_plain", None)
            if plain is None:
                plain = self._plain = Stepper(
                    self.job,
                    build_model(self.job),
                    build_optimizer(self.config, 1),
                    Replicas(tf.distribute.get_strategy()),
                )
            for variable, value in zip(plain.model.weights, whole_values(self.model.weights), strict=True):
                variable.assign(value)
            return plain.evaluate(source)


def whole_values(weights: list[Any]) -> list[np.ndarray]:
    """The values of variables, the parts of a partitioned one put together, in order of first appearance."""
    parts: dict[str, list[np.ndarray]] = {}
    for weight in weights:
        parts.setdefault(_SHARD.sub("", weight.name), []).append(weight.numpy())
    return [np.concatenate(values) if len(values) > 1 else values[0] for values in parts.values()]
