"""Batches looked up inside the graph, where all rows are in memory: a step waits for no iterator.

Which rows a step takes is worked out for many steps at once, outside the steps themselves: one call of a few operations
instead of one a step, and operations that XLA does not know stay out of what it compiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from taxiway.components.training.data.sources import Batch, RowOrder, gather_rows

Plan = tuple[tf.Tensor, tf.Tensor]
"""Row numbers int64 `[steps, parts, block]`, and which of them are rows at all, bool of the same shape."""

MOST_STEPS = 64
MOST_ROWS = 1 << 16


@dataclass(frozen=True)
class RowLookup:
    """Looks up the batches of one replica.

    Attributes:
        order: The order of the rows, which says what is in which batch.
        repeat_one: Whether every batch is the first one, to measure a step without its input.
    """

    order: RowOrder
    repeat_one: bool = False

    @property
    def steps_per_plan(self) -> int:
        """Steps that one plan covers."""
        return max(min(MOST_STEPS, MOST_ROWS // self.order.layout.batch), 1)

    def plan_steps(self, first: tf.Tensor) -> Plan:
        """Where the rows of the steps from `first` on, int64 scalar, lie."""
        steps = first + tf.range(self.steps_per_plan, dtype=tf.int64)
        parts = tf.range(self.order.layout.parts, dtype=tf.int64)
        return self.order.find_positions(steps[:, None, None], parts[None, :, None])

    def look_up_batches(self, data: Batch, plan: Plan, step: tf.Tensor) -> tuple[Batch, ...]:
        """The parts of the batch of the plan's step number `step`, out of all rows."""
        position, valid = plan[0][step], plan[1][step]
        return tuple(gather_rows(data, position[part], valid[part]) for part in range(self.order.layout.parts))

    def only_batch(self, data: Batch) -> tuple[Batch, ...] | None:
        """The first batch, where it is the only one."""
        return (
            self.look_up_batches(data, self.plan_steps(tf.zeros([], tf.int64)), tf.zeros([], tf.int64))
            if self.repeat_one
            else None
        )
