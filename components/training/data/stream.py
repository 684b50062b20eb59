"""Rows that do not fit in memory: read file by file in every epoch, in chunks of many batches.

A chunk is parsed at once and kept on disk for later epochs; its rows are shuffled by looking them up in a new order,
so that no row passes through an iterator of its own.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from pathlib import Path

import tensorflow as tf

from taxiway.components.training.config import InputConfig
from taxiway.components.training.data.label_facts import LabelFacts
from taxiway.components.training.data.sources import (
    Batch,
    BatchSource,
    ReadRecipe,
    RowOrder,
    WorkerShard,
    gather_rows,
    locate_block,
    locate_rows,
    shuffle_position,
)

LOG = logging.getLogger(__name__)


class StreamSource(BatchSource):
    """Rows read from files in every epoch.

    Args:
        facts: Facts of the labels of all rows.
        recipe: Rules by which this worker's files are read.
        shard: This worker's part; None where it reads everything.
        config: The section `training.input`.
    """

    kind = "stream"

    def __init__(self, facts: LabelFacts, recipe: ReadRecipe, shard: WorkerShard | None, config: InputConfig) -> None:
        super().__init__(facts, recipe, shard, repeat_one=False)
        self.files, self.config = recipe, config
        self._folder = tempfile.mkdtemp(prefix="taxiway-cache-") if config.disk_cache else ""
        if self._folder:
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            LOG.info("parsed rows are cached on disk: %s", self._folder)

    def weigh_rows(self, classes: object) -> None:
        super().weigh_rows(classes)  # type: ignore[arg-type]
        self.files = self.recipe or self.files

    def _make_batches(self, order: RowOrder, first_step: int) -> tf.data.Dataset:
        batch = order.layout.batch
        chunk_rows = max(self.config.shuffle_rows // batch, 1) * batch  # only an epoch's last chunk ends unevenly
        cached = self._read_chunks(tf.constant(self.files.files), chunk_rows, cache=True) if self._folder else None
        per_epoch, skipped = order.steps * order.layout.per_step, first_step % order.steps * order.layout.per_step
        first_epoch = first_step // order.steps

        @tf.autograph.experimental.do_not_convert
        def make_epoch(number: tf.Tensor) -> tf.data.Dataset:
            chunks = (
                cached if cached is not None else self._read_chunks(self._order_files(order, number), chunk_rows, False)
            )
            blocks = chunks.enumerate().flat_map(lambda i, data: _make_blocks(order, number, i, data))
            empty = blocks.take(1).map(lambda x, y, w: (x, y, w * 0.0)).repeat()
            blocks = blocks.concatenate(empty).take(per_epoch)
            return blocks.skip(tf.where(tf.equal(number, first_epoch), tf.constant(skipped, tf.int64), 0))

        options = tf.data.Options()
        options.deterministic = self.config.deterministic
        return tf.data.Dataset.counter(first_epoch).flat_map(make_epoch).with_options(options)

    def _order_files(self, order: RowOrder, epoch: tf.Tensor) -> tf.Tensor:
        files = tf.constant(self.files.files)
        if order.seed is None or order.shuffle == "none":
            return files
        index = tf.range(len(self.files.files), dtype=tf.int64)
        return tf.gather(files, shuffle_position(index, len(self.files.files), order.seed, epoch))

    def _read_chunks(self, files: tf.Tensor, rows: int, cache: bool) -> tf.data.Dataset:
        """Batches of `rows` parsed rows."""
        kind = "GZIP" if self.files.files[0].endswith(".gz") else ""
        readers, every = min(self.config.readers, len(self.files.files)), self.config.deterministic
        lines = tf.data.Dataset.from_tensor_slices(files).interleave(
            lambda file: tf.data.TFRecordDataset(file, kind, buffer_size=1 << 20),
            cycle_length=readers,
            block_length=64,
            num_parallel_calls=readers,
            deterministic=every,
        )
        chunks = lines.batch(rows).map(self.files.parse_rows, num_parallel_calls=2, deterministic=every)
        return chunks.cache(str(Path(self._folder, f"rows-{rows}"))) if cache else chunks


def _make_blocks(order: RowOrder, epoch: tf.Tensor, number: tf.Tensor, data: Batch) -> tf.data.Dataset:
    """The blocks of a chunk's batches, its rows in the order of this epoch."""
    layout, rows = order.layout, tf.shape(data[1], tf.int64)[0]
    steps = (rows + layout.batch - 1) // layout.batch

    def make_element(index: tf.Tensor) -> Batch:
        step, block = locate_block(index, layout)
        position, valid = locate_rows(step, block, layout, rows)
        if order.seed is not None and order.shuffle == "rows":
            position = shuffle_position(position, rows, order.seed + 1, epoch * 100_003 + number)
        return gather_rows(data, position, valid)

    return tf.data.Dataset.range(steps * layout.per_step).map(make_element, num_parallel_calls=2, deterministic=True)
