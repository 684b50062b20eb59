"""The compiled steps: one optimizer step, the inner loop of many, and the evaluation of a split.

Gradients are sums over rows, added up over parts and replicas, and divided once by the true global weight of the batch:
right for uneven batches, accumulation and any number of replicas. A step whose loss or gradient is not finite is
never applied.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.training.config import TrainingConfig
from taxiway.components.training.data import sources
from taxiway.components.training.data.row_lookup import Plan, RowLookup
from taxiway.components.training.distribution.strategies import Replicas
from taxiway.components.training.job import TrainingJob
from taxiway.components.training.loop.gradients import add_sums, clip_gradients, densify_gradient, divide_gradient
from taxiway.components.training.model import metrics
from taxiway.components.training.model.autograph import keep_keras_unconverted
from taxiway.components.training.model.layers import set_step_seed
from taxiway.components.training.model.losses import build_row_loss
from taxiway.components.training.tensorflow_private import create_optimizer_variables

FIRST_LOSS_SCALE = 2.0**15
GOOD_STEPS_BEFORE_DOUBLING = 2000

Totals = dict[str, Any]


class Stepper:
    """A model under training: variables, optimizer, and the functions that move them.

    Built inside `replicas.strategy.scope()`.

    Args:
        job: The job.
        model: Maps a dict of features to logits.
        optimizer: A legacy Keras optimizer.
        replicas: The replicas on which the model runs.
    """

    def __init__(self, job: TrainingJob, model: Any, optimizer: Any, replicas: Replicas) -> None:
        self.config: TrainingConfig = job.training
        keep_keras_unconverted()  # a model may come from elsewhere than `build_model`
        self.autograph = bool(job.model.function)  # a user's own layers may need it
        self.job = job
        self.task, self.model, self.optimizer, self.replicas = job.task, model, optimizer, replicas
        kind = self.config.regression_loss
        self.loss = build_row_loss(job.task, self.config.label_smoothing, job.label_scale.scale, kind)
        self.plain_loss = build_row_loss(job.task, 0.0, job.label_scale.scale, kind)
        self.variables = list(model.trainable_variables)
        self.step = _create_counter("step")
        self.skipped = _create_counter("skipped")
        self.good_steps = _create_counter("good_steps")
        self.loss_scale = _create_scalar("loss_scale", FIRST_LOSS_SCALE if self.scales_loss else 1.0)
        self.average = self._make_average()
        create_optimizer_variables(self.optimizer, self.variables)
        self.rows: RowLookup | None = None
        self.traces = 0
        self.use_xla(self.config.xla == "on")

    @property
    def whole_batch(self) -> bool:
        """Whether one replica computes the batch in one part."""
        return self.replicas.count == 1 and self.config.accumulate == 1

    @property
    def scales_loss(self) -> bool:
        return self.config.precision == "mixed_float16"

    def _make_average(self) -> list[Any]:
        if not self.config.ema_decay:
            return []
        return [tf.Variable(v, trainable=False, name=f"average_{i}") for i, v in enumerate(self.variables)]

    def use_xla(self, compiled: bool) -> None:
        """Rebuilds the functions with or without XLA."""
        self.compiled = compiled
        alone = self.replicas.count == 1
        self._take_step: Callable[..., Any] = self._compile_function(self._run_one_step, compiled and alone)
        self._local: Callable[..., Any] = self._compile_function(self._compute_local_sums, compiled and not alone)
        self._take_planned: Callable[..., Any] = self._compile_function(self._take_planned_steps, compiled)
        self.run_steps = tf.function(self._run_steps, autograph=self.autograph)
        self.run_evaluation = tf.function(self._run_evaluation, autograph=self.autograph)

    def _compile_function(self, function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
        return tf.function(function, jit_compile=True, autograph=self.autograph) if compiled else function

    def open_data(self, source: sources.BatchSource, first_step: int) -> Any:
        """What `run_steps` reads, from a step on: all rows where the graph looks batches up, else an iterator."""
        config = self.config
        layout = self.replicas.make_layout(config.global_batch_size, config.accumulate)
        if isinstance(source, sources.MemorySource) and self.replicas.one_cpu:
            self._read_by(RowLookup(source.build_order(layout, config.seed, config.input.shuffle), source.repeat_one))
            return source.load_tensors()
        self._read_by(None)
        shuffle = config.input.shuffle
        return iter(
            self.replicas.distribute_dataset(lambda: source.make_batches(layout, config.seed, first_step, shuffle))
        )

    def _read_by(self, rows: RowLookup | None) -> None:
        if rows != self.rows:
            self.rows = rows
            self.use_xla(self.compiled)  # the functions are traced for one way to read

    def _run_steps(self, data: Any, num_steps: tf.Tensor, sums: tf.Tensor) -> Totals:
        """Up to `num_steps` steps; ends before the first that may not be applied.

        Args:
            data: The result of `open_data`.
            num_steps: int64 scalar Tensor: a Python number would trace again for each value.
            sums: float64 `[2]`, sums of loss and weight so far: added up here step by step, so that they do not
                depend on how steps are grouped into calls.

        Returns:
            `sums`, with those of these steps; scalars: `norm`, the last gradient's; `finite`, whether all
            was well; `done`, the steps taken.
        """
        self.traces += 1
        start = {"sums": sums, "norm": tf.zeros([]), "finite": tf.constant(True), "done": tf.zeros([], tf.int64)}
        first = self.step.read_value()
        advance = self._read_and_step if self.rows is None else self._plan_and_step

        totals = tf.while_loop(
            lambda t: t["finite"] & (t["done"] < num_steps), lambda t: (advance(data, t, first, num_steps),), (start,)
        )[0]
        self.step.assign_add(totals["done"])
        return totals

    def _read_and_step(self, iterator: Any, totals: Totals, first: tf.Tensor, num_steps: tf.Tensor) -> Totals:
        """One step on the iterator's next elements."""
        batches = tuple(next(iterator) for _ in range(self.config.accumulate))
        return _add_step(totals, *self._take_step(batches, first + totals["done"]))

    def _plan_and_step(self, data: Any, totals: Totals, first: tf.Tensor, num_steps: tf.Tensor) -> Totals:
        """The steps of one plan, on rows in memory."""
        plan = self.rows.plan_steps(first + totals["done"])  # type: ignore[union-attr]
        return self._take_planned(data, plan, totals, first, num_steps)

    def _take_planned_steps(
        self, data: Any, plan: Plan, totals: Totals, first: tf.Tensor, num_steps: tf.Tensor
    ) -> Totals:
        """A loop of its own, so that XLA compiles the loop, not only its step."""
        rows: RowLookup = self.rows  # type: ignore[assignment]
        begin, only = totals["done"], rows.only_batch(data)
        end = tf.minimum(num_steps, begin + rows.steps_per_plan)

        def loop_body(totals: Totals) -> tuple[Totals]:
            batches = only or rows.look_up_batches(data, plan, totals["done"] - begin)
            return (_add_step(totals, *self._run_one_step(batches, first + totals["done"])),)

        return tf.while_loop(lambda t: t["finite"] & (t["done"] < end), loop_body, (totals,))[0]

    def _run_one_step(self, batches: tuple[Any, ...], step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """One optimizer step, in cross-replica context: `(loss sum, weight, gradient norm, may training continue)`."""
        first = self.replicas.local_value
        gradients, sums = self.replicas.strategy.run(self._compute_global_gradients, args=(batches, step))
        loss, weight, norm = (first(s) for s in sums)
        finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)
        tf.cond(finite, lambda: self._apply_gradients(gradients), lambda: self._refuse_step(loss))
        going = finite | self._may_skip(loss)
        return tf.where(finite, loss, 0.0), tf.where(finite, weight, 0.0), norm, going

    def _compute_global_gradients(
        self, batches: tuple[Any, ...], step: tf.Tensor
    ) -> tuple[list[Any], tuple[tf.Tensor, ...]]:
        """In a replica: the clipped global gradients, and `(loss sum, weight, norm)` over all replicas."""
        replica = tf.distribute.get_replica_context()
        gradients, loss, weight = self._local(batches, step, replica.replica_id_in_sync_group)
        if self.replicas.count > 1:
            *gradients, loss, weight = replica.all_reduce(tf.distribute.ReduceOp.SUM, [*gradients, loss, weight])
        divisor = 1.0 if self.whole_batch else tf.maximum(weight, 1e-12)
        if self.scales_loss or not self.whole_batch:
            gradients = [divide_gradient(g, divisor * self.loss_scale) for g in gradients]
        norm = tf.linalg.global_norm(gradients)
        return clip_gradients(self.config.clip, gradients, norm), (loss, weight, norm)

    def _compute_local_sums(
        self, batches: tuple[Any, ...], step: tf.Tensor, replica: Any
    ) -> tuple[list[Any], tf.Tensor, tf.Tensor]:
        """In a replica: gradients of the weighted loss, summed over its rows, part after part."""
        total: tuple[list[Any], tf.Tensor, tf.Tensor] | None = None
        for part, batch in enumerate(batches):
            after = [] if total is None else [total[1]]  # one part at a time in memory
            with tf.control_dependencies(after):
                sums = self._compute_part_sums(batch, self._derive_seed(step, part, replica))
            total = sums if total is None else add_sums(total, sums)
        if total is None:
            raise AssertionError("a step has at least one part")
        return total

    def _compute_part_sums(self, batch: sources.Batch, seed: tf.Tensor) -> tuple[list[Any], tf.Tensor, tf.Tensor]:
        features, labels, weights = batch
        with tf.GradientTape() as tape, set_step_seed(seed):
            logits = tf.cast(self.model(features, training=True), tf.float32)
            weight = tf.reduce_sum(weights)
            loss = tf.reduce_sum(tf.where(weights > 0, self.loss(logits, labels) * weights, 0.0))
            # A penalty belongs to the mean loss; times the weight, the division leaves it whole.
            whole = loss + tf.add_n(self.model.losses) * weight if self.model.losses else loss
            if self.whole_batch:  # the weight is known: one division here instead of one for each gradient
                whole /= tf.maximum(weight, 1e-12)
            scaled = whole * self.loss_scale if self.scales_loss else whole
        gradients = tape.gradient(scaled, self.variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [densify_gradient(g) for g in gradients], loss, weight

    def _derive_seed(self, step: tf.Tensor, part: int, replica: Any) -> tf.Tensor:
        """int32 `[2]`, another one for each step, part and replica."""
        place = tf.cast(step, tf.int32) * self.config.accumulate + part
        return tf.stack([place, tf.constant(self.config.seed, tf.int32) + tf.cast(replica, tf.int32) * 1009])

    def _apply_gradients(self, gradients: list[Any]) -> tf.Tensor:
        self.replicas.strategy.run(self._apply_in_replica, args=(gradients,))
        for average, variable in zip(self.average, self.variables, strict=bool(self.average)):
            self.replicas.strategy.extended.update(average, self._move_average, args=(variable,))
        if self.scales_loss:
            good = self.good_steps.assign_add(1, read_value=True)
            factor = tf.where(good % GOOD_STEPS_BEFORE_DOUBLING == 0, 2.0, 1.0)
            self.loss_scale.assign(self.loss_scale * factor)
        return tf.constant(True)

    def _apply_in_replica(self, gradients: list[Any]) -> None:
        # Already summed over the replicas: the optimizer must not do it again. A parameter server's step has one
        # replica, of which Keras insists on taking the sum.
        alone = self.replicas.coordinator is not None
        pairs = zip(gradients, self.variables, strict=True)
        self.optimizer.apply_gradients(pairs, experimental_aggregate_gradients=alone)

    def _move_average(self, average: Any, variable: Any) -> Any:
        done = tf.cast(self.optimizer.iterations, tf.float32)  # this step included
        decay = tf.minimum(self.config.ema_decay, done / (done + 9))
        return average.assign_sub((1 - decay) * (average - variable))

    def _refuse_step(self, loss: tf.Tensor) -> tf.Tensor:
        """A step that is not applied: an overflow halves the loss scale, anything else counts as skipped."""
        if self.scales_loss:
            overflow = tf.math.is_finite(loss) & (self.loss_scale > 1)
            self.loss_scale.assign(tf.where(overflow, self.loss_scale / 2, self.loss_scale))
            self.good_steps.assign(0)
            self.skipped.assign_add(tf.where(overflow, tf.zeros([], tf.int64), 1))
        else:
            self.skipped.assign_add(1)
        return tf.constant(False)

    def _may_skip(self, loss: tf.Tensor) -> tf.Tensor:
        if self.config.on_nan == "skip":
            return self.skipped <= self.config.max_skipped_steps
        return tf.math.is_finite(loss) & (self.skipped == 0) if self.scales_loss else tf.constant(False)

    def compute_rate(self, step: int) -> float:
        """The learning rate of a step."""
        return float(self.optimizer.learning_rate(step))

    def list_trackables(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        counters = {"step": self.step, "skipped": self.skipped, "good_steps": self.good_steps}
        scale = {"loss_scale": self.loss_scale, "average": self.average}
        return {"model": self.model, "optimizer": self.optimizer, **counters, **scale}

    def list_values(self) -> list[Any]:
        """The variables that a checkpoint holds."""
        optimizer = list(self.optimizer.variables()) + list(self.model.weights)
        return [*optimizer, self.step, self.skipped, self.good_steps, self.loss_scale, *self.average]

    def evaluate_split(self, source: sources.BatchSource) -> dict[str, float]:
        """The metrics of a split, with the averaged weights where there are any."""
        layout = self.replicas.make_layout(min(self.config.eval_batch_size, source.rows))
        iterator = iter(self.replicas.distribute_dataset(lambda: source.make_ordered_batches(layout)))
        steps = tf.constant(source.steps_per_epoch(layout.batch), tf.int64)
        with self.exported_weights():
            sums = self.run_evaluation(iterator, steps)
        return metrics.compute_metrics(self.task, {name: value.numpy() for name, value in sums.items()})

    def _run_evaluation(self, iterator: Any, num_steps: tf.Tensor) -> Totals:
        def loop_body(step: tf.Tensor, totals: Totals) -> tuple[tf.Tensor, Totals]:
            more = self._evaluate_batch(next(iterator))
            return step + 1, {name: totals[name] + more[name] for name in totals}

        start = (tf.ones([], tf.int64), self._evaluate_batch(next(iterator)))
        return tf.while_loop(lambda step, _: step < num_steps, loop_body, start)[1]

    def _evaluate_batch(self, batch: Any) -> Totals:
        sums = self.replicas.strategy.run(self._compute_replica_sums, args=(batch,))
        reduce = self.replicas.strategy.reduce
        return {name: reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for name, value in sums.items()}

    def _compute_replica_sums(self, batch: sources.Batch) -> Totals:
        features, labels, weights = batch
        logits = tf.cast(self.model(features, training=False), tf.float32)
        return metrics.sum_batch(self.task, self.plain_loss, logits, labels, weights)

    @contextlib.contextmanager
    def exported_weights(self) -> Iterator[None]:
        """Within it the model holds the weights that are evaluated and exported: the averaged ones, if any."""
        if not self.average:
            yield
            return
        own = [v.numpy() for v in self.variables]
        self._assign_variables([a.numpy() for a in self.average])
        try:
            yield
        finally:
            self._assign_variables(own)

    def _assign_variables(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)


def _add_step(totals: Totals, loss: tf.Tensor, weight: tf.Tensor, norm: tf.Tensor, finite: tf.Tensor) -> Totals:
    sums = totals["sums"] + tf.cast(tf.stack([loss, weight]), tf.float64)
    return {"sums": sums, "norm": norm, "finite": finite, "done": totals["done"] + 1}


def _create_counter(name: str) -> Any:
    return tf.Variable(
        0, trainable=False, dtype=tf.int64, name=name, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
    )


def _create_scalar(name: str, value: float) -> Any:
    return tf.Variable(
        value, trainable=False, dtype=tf.float32, name=name, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
    )
