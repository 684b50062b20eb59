"""Rows to batches.

Every batch has a static shape: a last, uneven batch is filled up with rows of weight 0, so that nothing retraces or
recompiles, and the sum of the weights is the true number (or weight) of the rows. The order of the rows is a function
of the seed and the position, not of hidden state: to resume is to start at another position.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.training.data.label_facts import LabelFacts

Batch = tuple[dict[str, Any], Any, Any]
"""`(features {name: [b, *shape]}, labels [b], weights float32 [b])`."""


@dataclass(frozen=True)
class BatchLayout:
    """How a global batch is cut: `replicas * parts` blocks of `block` rows each.

    Attributes:
        batch: Rows of a global batch.
        replicas: Over all workers.
        parts: Accumulated parts of a replica's share.
        first_replica: The number of this process's first replica.
        local_replicas: The number of this process's replicas.
    """

    batch: int
    replicas: int = 1
    parts: int = 1
    first_replica: int = 0
    local_replicas: int = 1

    @property
    def block(self) -> int:
        return math.ceil(self.batch / (self.replicas * self.parts))

    @property
    def per_step(self) -> int:
        """Elements that this process's dataset hands out in a step: part by part, in each one for a replica."""
        return self.parts * self.local_replicas


@dataclass(frozen=True)
class RowOrder:
    """Which rows are in which block.

    Attributes:
        rows: The number of rows in an epoch.
        layout: The cut of a global batch.
        seed: The seed of the permutations; None: the files' order.
        shuffle: `rows`, `batches` or `none`.
        steps: The steps of an epoch; 0: as many as the rows fill. With more, the last batches have no rows.
    """

    rows: int
    layout: BatchLayout
    seed: int | None
    shuffle: str
    steps: int = 0

    def read_block(self, data: Batch, step: tf.Tensor, block: tf.Tensor) -> Batch:
        """The rows of a block of the global batch `step`, both int64 scalars, out of all rows."""
        return gather_rows(data, *self.find_positions(step, block))

    def find_positions(self, step: tf.Tensor, block: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where the rows of blocks are, and which are rows at all: `[..., block]`, for a `step` and a `block` that are
        scalars or end in a dimension of 1.
        """
        per_epoch = self.steps or math.ceil(self.rows / self.layout.batch)
        epoch, step = step // per_epoch, step % per_epoch
        if self.seed is not None and self.shuffle == "batches":
            step = shuffle_position(step, per_epoch, self.seed, epoch)
        position, valid = locate_rows(step, block, self.layout, self.rows)
        if self.seed is not None and self.shuffle == "rows":
            position = shuffle_position(position, self.rows, self.seed, epoch)
        return position, valid


@dataclass(frozen=True)
class ReadRecipe:
    """How to read the rows again, in another process: files, parse spec, names, and the weight of each class."""

    files: tuple[str, ...]
    spec: dict[str, Any]
    label: str
    sample_weight: str = ""
    class_weights: tuple[float, ...] = ()

    def open_dataset(self, count: int) -> tf.data.Dataset:
        """A dataset whose every element is all `count` rows; read once, kept in memory where it is iterated."""
        kind = "GZIP" if self.files[0].endswith(".gz") else ""
        records_ = tf.data.TFRecordDataset(list(self.files), kind).batch(count)
        return records_.map(self.parse_rows).take(1).cache().repeat()

    @tf.autograph.experimental.do_not_convert
    def parse_rows(self, serialized: tf.Tensor) -> Batch:
        """Rows, from serialized `tf.Example`s `[n]`."""
        columns = tf.io.parse_example(serialized, self.spec)
        labels, weights = columns.pop(self.label), tf.ones(tf.shape(serialized))
        if self.sample_weight:
            weights *= tf.reshape(tf.cast(columns.pop(self.sample_weight), tf.float32), [-1])
        if self.class_weights:
            weights *= tf.gather(tf.constant(self.class_weights, tf.float32), tf.cast(labels, tf.int32))
        return columns, labels, weights


@dataclass(frozen=True)
class WorkerShard:
    """The files that this worker reads, where each worker reads its own.

    Attributes:
        index: This worker's number.
        rows: The number of rows of each worker.
    """

    index: int
    rows: tuple[int, ...]

    def share_layout(self, layout: BatchLayout) -> BatchLayout:
        """This worker's part of a global batch, as a batch of its own."""
        return BatchLayout(
            math.ceil(layout.batch / len(self.rows)), layout.local_replicas, layout.parts, 0, layout.local_replicas
        )

    def count_steps(self, batch: int) -> int:
        """Steps after which every worker has seen its rows; those with fewer rows hand out empty batches."""
        share = math.ceil(batch / len(self.rows))
        return max(math.ceil(rows / share) for rows in self.rows)


class BatchSource:
    """The rows of a split.

    Attributes:
        facts: Facts of the labels of all rows, also of those that other workers read.
        rows: The number of all rows.
        recipe: A recipe to read the rows again; None where there are no files.
        shard: This worker's part; None where each worker takes part of every batch.
    """

    kind = ""

    def __init__(
        self, facts: LabelFacts, recipe: ReadRecipe | None, shard: WorkerShard | None, repeat_one: bool
    ) -> None:
        self.facts, self.rows, self.recipe, self.shard = facts, facts.rows, recipe, shard
        self.repeat_one = repeat_one

    @property
    def own_rows(self) -> int:
        return self.shard.rows[self.shard.index] if self.shard else self.rows

    def steps_per_epoch(self, batch: int) -> int:
        return self.shard.count_steps(batch) if self.shard else math.ceil(self.rows / batch)

    def weigh_rows(self, classes: Sequence[float]) -> None:
        """Multiplies each row's weight by that of its class. Before the first batch."""
        if self.recipe:
            self.recipe = replace(self.recipe, class_weights=tuple(classes))

    def build_order(self, layout: BatchLayout, seed: int | None, shuffle: str) -> RowOrder:
        """The order of this worker's rows."""
        own = self.shard.share_layout(layout) if self.shard else layout
        return RowOrder(self.own_rows, own, seed, shuffle, self.steps_per_epoch(layout.batch))

    def make_batches(
        self, layout: BatchLayout, seed: int | None, first_step: int = 0, shuffle: str = "rows"
    ) -> tf.data.Dataset:
        """Endless batches from `first_step` on, epoch after epoch; each element is a block of a global batch.

        Args:
            layout: The cut of a global batch.
            seed: The seed of the permutation; None: the files' order.
            first_step: The first global batch, counted from the beginning of training.
            shuffle: `rows`, `batches` or `none`.
        """
        batches = self._make_batches(self.build_order(layout, seed, shuffle), first_step)
        if self.repeat_one:  # to measure the step without its input
            batches = batches.take(layout.per_step).cache().repeat()
        return batches.prefetch(16)

    def _make_batches(self, order: RowOrder, first_step: int) -> tf.data.Dataset:
        raise NotImplementedError

    def make_ordered_batches(self, layout: BatchLayout) -> tf.data.Dataset:
        """The same without shuffling, from the first row; for evaluation."""
        return self.make_batches(layout, None)


class MemorySource(BatchSource):
    """All rows of this worker as tensors; any batch can be made at once.

    Args:
        columns: `{feature: [rows, *shape]}`, the label among them.
        label: The label's name.
        weights: float32 `[rows]`, or None where every row weighs 1.
        recipe: A recipe by which another process reads the same rows.
        shard: The worker's part of the files; None: all files.
        facts: Facts of the labels of all rows, where there is a shard.
        repeat_one: Hands out the first batch again and again.
    """

    kind = "memory"

    def __init__(
        self,
        columns: dict[str, np.ndarray],
        label: str,
        weights: np.ndarray | None,
        recipe: ReadRecipe | None = None,
        shard: WorkerShard | None = None,
        facts: LabelFacts | None = None,
        repeat_one: bool = False,
    ) -> None:
        super().__init__(facts or LabelFacts.summarize_labels(columns[label]), recipe, shard, repeat_one)
        self.own_labels, self.weights = columns[label], weights
        self.features = {name: values for name, values in columns.items() if name != label}
        self._tensors: Batch | None = None

    def weigh_rows(self, classes: Sequence[float]) -> None:
        super().weigh_rows(classes)
        factors = np.asarray(classes, np.float32)[self.own_labels.astype(np.int64)]
        self.weights = factors if self.weights is None else self.weights * factors

    def load_tensors(self) -> Batch:
        """All rows, on the host."""
        if self._tensors is None:
            with tf.device("/cpu:0"):
                weights = np.ones(self.own_rows, np.float32) if self.weights is None else self.weights
                self._tensors = (
                    {name: tf.constant(values) for name, values in self.features.items()},
                    tf.constant(self.own_labels),
                    tf.constant(weights, tf.float32),
                )
        return self._tensors

    def _make_batches(self, order: RowOrder, first_step: int) -> tf.data.Dataset:
        data, layout = self.load_tensors(), order.layout

        @tf.autograph.experimental.do_not_convert
        def make_element(index: tf.Tensor) -> Batch:
            return order.read_block(data, *locate_block(index, layout))

        counter = tf.data.Dataset.counter(first_step * layout.per_step)
        return counter.map(make_element, num_parallel_calls=2, deterministic=True)


class EmptySource(BatchSource):
    """The source of a worker in whose files there are no rows: it takes every step, with batches that do not count."""

    kind = "empty"

    def __init__(self, facts: LabelFacts, recipe: ReadRecipe, shard: WorkerShard) -> None:
        super().__init__(facts, recipe, shard, repeat_one=False)
        self.features = {name: spec for name, spec in recipe.spec.items() if name != recipe.sample_weight}

    def _make_batches(self, order: RowOrder, first_step: int) -> tf.data.Dataset:
        columns = {n: tf.zeros([order.layout.block, *f.shape], f.dtype) for n, f in self.features.items()}
        labels = columns.pop(self.recipe.label)  # type: ignore[union-attr]
        return tf.data.Dataset.from_tensors((columns, labels, tf.zeros([order.layout.block]))).repeat()


def locate_block(index: tf.Tensor, layout: BatchLayout) -> tuple[tf.Tensor, tf.Tensor]:
    """The global batch and the block in it of this process's element `index`."""
    step, rest = index // layout.per_step, index % layout.per_step
    part, local = rest // layout.local_replicas, rest % layout.local_replicas
    return step, (layout.first_replica + local) * layout.parts + part


def locate_rows(step: tf.Tensor, block: tf.Tensor, layout: BatchLayout, rows: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Row numbers int64 `[block]` in the epoch's order, and which of them are rows of this block at all."""
    within = block * layout.block + tf.range(layout.block, dtype=tf.int64)
    position = step * layout.batch + within
    return position % rows, (within < layout.batch) & (position < rows)


def shuffle_position(position: tf.Tensor, rows: Any, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Where `position` lies in the epoch's permutation of `[0, rows)`. `epoch` broadcasts to `position`."""
    # The raw operation: `tf.random.experimental.index_shuffle` cannot be given a key for each position.
    epoch, flat = tf.convert_to_tensor(epoch), tf.reshape(position, [-1])
    if epoch.shape.rank:
        epoch = tf.reshape(tf.broadcast_to(epoch, tf.shape(position)), [-1])
    key = tf.stack([tf.zeros_like(epoch), tf.zeros_like(epoch) + seed, epoch], axis=-1)
    last = tf.cast(rows, tf.int64) - 1
    return tf.reshape(tf.raw_ops.RandomIndexShuffle(index=flat, seed=key, max_index=last, rounds=4), tf.shape(position))


def gather_rows(data: Batch, position: tf.Tensor, valid: tf.Tensor) -> Batch:
    features, labels, weights = data
    return (
        {name: tf.gather(values, position) for name, values in features.items()},
        tf.gather(labels, position),
        tf.gather(weights, position) * tf.cast(valid, tf.float32),
    )
