"""Rows to batches.

Every batch has a static shape: a last, uneven batch is filled up with rows of weight 0, so that nothing retraces or
recompiles, and the sum of the weights is the true number (or weight) of the rows. The order of the rows is a function
of the seed and the position, not of hidden state: to resume is to start at another position.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psutil
import tensorflow as tf

from components.errors import DataError, close_matches
from components.training import records, schema
from components.training.config import InputConfig
from components.training.job import TrainingJob, resolve_files

LOG = logging.getLogger(__name__)

Batch = tuple[dict[str, Any], Any, Any]
"""`(features {name: [b, *shape]}, labels [b], weights float32 [b])`."""


@dataclass(frozen=True)
class Layout:
    """How a global batch is cut: `replicas * parts` blocks of `block` rows each.

    Attributes:
        batch: Rows of a global batch.
        replicas: Over all workers.
        parts: Accumulated parts of a replica's share.
        first_replica: Of this process.
        local_replicas: Of this process.
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
class Order:
    """Which rows are in which block.

    Attributes:
        rows: In an epoch.
        layout: How a global batch is cut.
        seed: Of the permutations; None: the files' order.
        shuffle: `rows`, `batches` or `none`.
    """

    rows: int
    layout: Layout
    seed: int | None
    shuffle: str

    def block(self, data: Batch, step: tf.Tensor, block: tf.Tensor) -> Batch:
        """The rows of a block of the global batch `step`, both int64 scalars, out of all rows."""
        per_epoch = math.ceil(self.rows / self.layout.batch)
        epoch, step = step // per_epoch, step % per_epoch
        if self.seed is not None and self.shuffle == "batches":
            step = _shuffled(step, per_epoch, self.seed, epoch)
        position, valid = _positions(step, block, self.layout, self.rows)
        if self.seed is not None and self.shuffle == "rows":
            position = _shuffled(position, self.rows, self.seed, epoch)
        return _gather(data, position, valid)


@dataclass(frozen=True)
class Recipe:
    """How to read the rows again, in another process: files, parse spec, names, and the weight of each class."""

    files: tuple[str, ...]
    spec: dict[str, Any]
    label: str
    sample_weight: str = ""
    class_weights: tuple[float, ...] = ()

    def rows(self, count: int) -> tf.data.Dataset:
        """A dataset whose every element is all `count` rows; read once, kept in memory where it is iterated."""
        kind = "GZIP" if self.files[0].endswith(".gz") else ""
        records_ = tf.data.TFRecordDataset(list(self.files), kind).batch(count)
        return records_.map(self._parse).take(1).cache().repeat()

    @tf.autograph.experimental.do_not_convert
    def _parse(self, serialized: tf.Tensor) -> Batch:
        columns = tf.io.parse_example(serialized, self.spec)
        labels, weights = columns.pop(self.label), tf.ones(tf.shape(serialized))
        if self.sample_weight:
            weights *= tf.reshape(tf.cast(columns.pop(self.sample_weight), tf.float32), [-1])
        if self.class_weights:
            weights *= tf.gather(tf.constant(self.class_weights, tf.float32), tf.cast(labels, tf.int32))
        return columns, labels, weights


class MemorySource:
    """All rows as tensors; any batch can be made at once.

    Args:
        columns: `{feature: [rows, *shape]}`, the label among them.
        label: Its name.
        weights: float32 `[rows]`, or None where every row weighs 1.
        recipe: How another process reads the same rows; None where none needs to.
    """

    kind = "memory"

    def __init__(
        self, columns: dict[str, np.ndarray], label: str, weights: np.ndarray | None, recipe: Recipe | None = None
    ) -> None:
        self.recipe = recipe
        self.labels = columns[label]
        self.weights = weights
        self.features = {name: values for name, values in columns.items() if name != label}
        self.rows = len(self.labels)
        self._tensors: Batch | None = None

    def weigh(self, classes: Sequence[float]) -> None:
        """Multiplies each row's weight by that of its class. Before the first batch."""
        factors = np.asarray(classes, np.float32)[self.labels.astype(np.int64)]
        if self.recipe:
            self.recipe = replace(self.recipe, class_weights=tuple(classes))
        self.weights = factors if self.weights is None else self.weights * factors

    def steps_per_epoch(self, batch: int) -> int:
        return math.ceil(self.rows / batch)

    def tensors(self) -> Batch:
        """All rows, on the host."""
        if self._tensors is None:
            with tf.device("/cpu:0"):
                weights = np.ones(self.rows, np.float32) if self.weights is None else self.weights
                self._tensors = (
                    {name: tf.constant(values) for name, values in self.features.items()},
                    tf.constant(self.labels),
                    tf.constant(weights, tf.float32),
                )
        return self._tensors

    def batches(self, layout: Layout, seed: int | None, first_step: int = 0, shuffle: str = "rows") -> tf.data.Dataset:
        """Endless batches from `first_step` on, epoch after epoch; each element is a block of a global batch.

        Args:
            layout: How a global batch is cut.
            seed: Of the permutation; None: the files' order.
            first_step: The first global batch, counted from the beginning of training.
            shuffle: `rows`, `batches` or `none`.
        """
        data, order = self.tensors(), Order(self.rows, layout, seed, shuffle)

        @tf.autograph.experimental.do_not_convert
        def element(index: tf.Tensor) -> Batch:
            return order.block(data, *_coordinates(index, layout))

        counter = tf.data.Dataset.counter(first_step * layout.per_step)
        batches = counter.map(element, num_parallel_calls=2, deterministic=True)
        return batches.prefetch(16)

    def ordered(self, layout: Layout) -> tf.data.Dataset:
        """The same without shuffling, from the first row; for evaluation."""
        return self.batches(layout, None)


def _coordinates(index: tf.Tensor, layout: Layout) -> tuple[tf.Tensor, tf.Tensor]:
    """The global batch and the block in it of this process's element `index`."""
    step, rest = index // layout.per_step, index % layout.per_step
    part, local = rest // layout.local_replicas, rest % layout.local_replicas
    return step, (layout.first_replica + local) * layout.parts + part


def _positions(step: tf.Tensor, block: tf.Tensor, layout: Layout, rows: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Row numbers int64 `[block]` in the epoch's order, and which of them are rows of this block at all."""
    within = block * layout.block + tf.range(layout.block, dtype=tf.int64)
    position = step * layout.batch + within
    return position % rows, (within < layout.batch) & (position < rows)


def _shuffled(position: tf.Tensor, rows: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Where `position` lies in the epoch's permutation of `[0, rows)`."""
    if rows < 2:
        return position
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    return tf.random.experimental.index_shuffle(position, key, tf.constant(rows - 1, tf.int64))


def _gather(data: Batch, position: tf.Tensor, valid: tf.Tensor) -> Batch:
    features, labels, weights = data
    return (
        {name: tf.gather(values, position) for name, values in features.items()},
        tf.gather(labels, position),
        tf.gather(weights, position) * tf.cast(valid, tf.float32),
    )


def open_source(job: TrainingJob, split: str) -> MemorySource:
    """The rows of a split.

    Args:
        job: What is trained.
        split: `train` or `eval`.

    Raises:
        DataError: there are no rows, or a label is not one.
    """
    files = resolve_files(job.train_files if split == "train" else job.eval_files, split)
    features = schema.transformed_features(job.transform_graph)
    spec = parse_spec(features)
    columns = records.load(files, spec, job.training.input.readers)
    weights = row_weights(columns, job)
    columns.pop(job.training.sample_weight, None)
    LOG.info("%s: %d rows of %d files in memory", split, len(columns[job.label]), len(files))
    recipe = Recipe(tuple(files), spec, job.label, job.training.sample_weight)
    return MemorySource(columns, job.label, weights, recipe)


def parse_spec(features: Sequence[schema.Feature]) -> dict[str, tf.io.FixedLenFeature]:
    return {f.name: tf.io.FixedLenFeature(f.shape, f.dtype) for f in features}


def row_weights(columns: dict[str, np.ndarray], job: TrainingJob) -> np.ndarray | None:
    """The sample weights, float32 `[rows]`; None where every row weighs 1.

    Raises:
        DataError: a weight is negative or not finite, or there is no such feature.
    """
    name = job.training.sample_weight
    if not name:
        return None
    if name not in columns:
        raise DataError(
            f"training.sample_weight names {name!r}, which Transform does not write.", close_matches(name, columns)
        )
    weights = columns[name].astype(np.float32).reshape(-1)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError(
            f"The sample weight {name!r} holds values that are negative or not finite.",
            "Mend it in the preprocessing function.",
        )
    return weights


def fits_in_memory(files: Sequence[str], config: InputConfig) -> bool:
    """Whether `auto` keeps the files' rows in memory. A parsed row is about as large as its record."""
    return records.uncompressed_bytes(files) * 2 < psutil.virtual_memory().available * config.memory_fraction
