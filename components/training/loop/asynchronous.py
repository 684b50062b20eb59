"""Steps of a parameter-server cluster: the chief dispatches them to the workers, which run them when they are free.

The step is the same as for other strategies. Where the rows fit in memory a worker holds all of them and is given the
numbers of the steps to run; of a stream it is given the rows themselves, which the chief reads. So each row of an
epoch is seen exactly once, whichever worker is faster, and a stream goes on after a kill at the row where it was. When
a worker dies, another one runs its steps again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.errors import TrainingError
from taxiway.components.training.data import sources
from taxiway.components.training.distribution.strategies import Replicas
from taxiway.components.training.loop.steps import Stepper, Totals
from taxiway.components.training.model.build import build_model
from taxiway.components.training.model.optimizers import build_optimizer

LOG = logging.getLogger(__name__)

STEPS_PER_TASK = 16
"""Steps dispatched at once: enough to forget the dispatch, few enough to keep every worker busy to the end."""
TASKS_PER_WORKER = 4
"""Dispatched and not yet done, at most: one runs, the others wait on the chief, with the rows of a stream."""
_SHARD = re.compile(r"/part_\d+(:\d+)?$")


@dataclass
class StepFeed:
    """What tasks are made of.

    Attributes:
        function: What a worker runs.
        iterator: What it reads.
    """

    function: Any
    iterator: Any

    def take_arguments(self, first: int, most: int) -> tuple[tuple[Any, ...], int]:
        """The arguments of the next task, which begins with step `first`, and its steps, `most` at most."""
        raise NotImplementedError


class NumberFeed(StepFeed):
    """Numbers of steps, for workers that hold the rows."""

    def take_arguments(self, first: int, most: int) -> tuple[tuple[Any, ...], int]:
        return (self.iterator, tf.constant(first, tf.int64), tf.constant(most, tf.int64)), most


@dataclass
class RowFeed(StepFeed):
    """The rows of the steps, which the chief reads in their order; elements of `iterator` are many steps.

    Attributes:
        left: Steps that are read and not yet given to a worker.
    """

    left: Any = None

    def take_arguments(self, first: int, most: int) -> tuple[tuple[Any, ...], int]:
        data = next(self.iterator) if self.left is None else self.left
        steps = int(data[2].shape[0])
        count = min(most, steps)
        given = tf.nest.map_structure(lambda values: values[:count], data) if count < steps else data
        self.left = tf.nest.map_structure(lambda values: values[count:], data) if count < steps else None
        return (given, tf.constant(first, tf.int64)), count


def relax_steps(spec: Any) -> Any:
    """The spec of elements with any number of steps."""
    return tf.nest.map_structure(lambda one: tf.TensorSpec([None, *one.shape[1:]], one.dtype), spec)


def _take_part(step: sources.Batch, part: int) -> sources.Batch:
    taken: sources.Batch = tf.nest.map_structure(lambda values: values[part], step)
    return taken


class AsyncStepper(Stepper):
    """A `Stepper` of the chief of a parameter-server cluster."""

    def open_data(self, source: sources.BatchSource, first_step: int) -> StepFeed:
        """What tasks are made of, from a step on."""
        self._log_partitions()
        layout = self.replicas.make_layout(self.config.global_batch_size, self.config.accumulate)
        if not isinstance(source, sources.MemorySource):
            return self._open_stream(source, layout, first_step)
        if source.recipe is None:
            raise TrainingError("The workers cannot read these rows: no files are known.", "Train from files.")
        recipe, rows = source.recipe, source.rows
        self.order = sources.RowOrder(rows, layout, self.config.seed, self.config.input.shuffle)
        take_steps = tf.function(self._take_steps, autograph=self.autograph)
        return NumberFeed(
            take_steps, iter(self.replicas.coordinator.create_per_worker_dataset(lambda: recipe.open_dataset(rows)))
        )

    def _open_stream(self, source: sources.BatchSource, layout: sources.BatchLayout, first_step: int) -> RowFeed:
        config = self.config
        batches = source.make_batches(layout, config.seed, first_step, config.input.shuffle)
        steps = batches.batch(layout.parts).batch(STEPS_PER_TASK).prefetch(2)
        signature = [relax_steps(steps.element_spec), tf.TensorSpec([], tf.int64)]
        take_rows = tf.function(self._take_rows, input_signature=signature, autograph=self.autograph)
        return RowFeed(take_rows, iter(steps))

    def _log_partitions(self) -> None:
        parts = [weight.name for weight in self.model.weights if _SHARD.search(weight.name)]
        tables = sorted({_SHARD.sub("", name) for name in parts})
        LOG.info(
            "%d parts of large variables on the parameter servers: %s", len(parts), ", ".join(tables) or "none is large"
        )

    def use_xla(self, compiled: bool) -> None:
        super().use_xla(compiled)
        self.run_steps = self._dispatch_steps

    def _dispatch_steps(self, feed: StepFeed, num_steps: tf.Tensor, sums: tf.Tensor) -> Totals:
        """Dispatches `num_steps` steps and waits for all; see `Stepper._run_steps`."""
        first, left = int(self.step.numpy()), int(num_steps)
        waiting: list[Any] = []
        window = TASKS_PER_WORKER * self.replicas.workers
        while left:
            if len(waiting) >= window:
                waiting[-window].fetch()  # rows that are sent wait in memory: not for more tasks than keep workers busy
            arguments, count = feed.take_arguments(first, min(left, STEPS_PER_TASK))
            waiting.append(self.replicas.coordinator.schedule(feed.function, args=arguments))
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
        """On a worker: the steps from `first` on, of the rows that it holds."""
        data = next(iterator)

        def read_parts(finished: tf.Tensor) -> tuple[sources.Batch, ...]:
            blocks = range(self.config.accumulate)
            return tuple(self.order.read_block(data, first + finished, tf.constant(b, tf.int64)) for b in blocks)

        return self._take_each_step(read_parts, first, count)

    def _take_rows(self, data: sources.Batch, first: tf.Tensor) -> Totals:
        """On a worker: the steps of rows that it is given, `[steps, parts, block, ...]`."""

        def read_parts(finished: tf.Tensor) -> tuple[sources.Batch, ...]:
            step = tf.nest.map_structure(lambda values: values[finished], data)
            return tuple(_take_part(step, part) for part in range(self.config.accumulate))

        return self._take_each_step(read_parts, first, tf.shape(data[2], tf.int64)[0])

    def _take_each_step(
        self, read_parts: Callable[[tf.Tensor], tuple[sources.Batch, ...]], first: tf.Tensor, count: tf.Tensor
    ) -> Totals:
        self.traces += 1
        start = {"sums": tf.zeros([2], tf.float64), "norm": tf.zeros([]), "finite": tf.constant(True)}

        def loop_body(finished: tf.Tensor, totals: Totals) -> tuple[tf.Tensor, Totals]:
            loss, weight, norm, finite = self._take_step(read_parts(finished), first + finished)
            sums = totals["sums"] + tf.cast(tf.stack([loss, weight]), tf.float64)
            return finished + 1, {"sums": sums, "norm": norm, "finite": totals["finite"] & finite}

        going = lambda done, totals: totals["finite"] & (done < count)  # noqa: E731
        return tf.while_loop(going, loop_body, (tf.zeros([], tf.int64), start))[1]

    def evaluate_split(self, source: sources.BatchSource) -> dict[str, float]:
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
            for variable, value in zip(plain.model.weights, join_partitions(self.model.weights), strict=True):
                variable.assign(value)
            return plain.evaluate_split(source)


def join_partitions(weights: list[Any]) -> list[np.ndarray]:
    """The values of variables, the parts of a partitioned one put together, in order of first appearance."""
    parts: dict[str, list[np.ndarray]] = {}
    for weight in weights:
        parts.setdefault(_SHARD.sub("", weight.name), []).append(weight.numpy())
    return [np.concatenate(values) if len(values) > 1 else values[0] for values in parts.values()]
