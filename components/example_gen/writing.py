"""Arrow batches as files of serialized `tf.Example`s, encoded in C++ and compressed in threads beside the reading.

Beside each file lies a columnar copy of its rows; `taxiway.components.tables.examples` reads both.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from taxiway.components.errors import TaxiwayError
from taxiway.components.tables.columns.conversion import cast_for_examples
from taxiway.components.tables.examples.column_files import ColumnFileWriter, wrap_in_lists
from taxiway.components.tables.examples.shards import locate_column_file
from taxiway.components.tables.sources.open_files import is_remote
from taxiway.components.tables.tfx_bsl_private import encode_examples

COMPRESSION_LEVEL = 1
"""Of gzip: the fastest. TFX's own writers take 6, for files a quarter smaller at three times the CPU."""
_MOST_SHARD_ROWS, _FEWEST_SHARD_ROWS, _WANTED_SHARDS = 250_000, 25_000, 16
_QUEUED_BATCHES = 4
_ENCODERS = 2
_ENCODE_ROWS = 8192


def make_example_batch(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Columns of values as examples hold them: int64, float32 or large_binary; a missing value is null."""
    return pa.RecordBatch.from_arrays([cast_for_examples(array) for array in columns.values()], names=list(columns))


def choose_shard_rows(rows: int) -> int:
    """Rows of a file of examples: 16 files, so that cores and workers share them, of 25,000 to 250,000 rows.

    It goes by the data alone: files, and what is fingerprinted by them, do not depend on the machine.

    Args:
        rows: The rows of all splits.
    """
    return min(max(rows // _WANTED_SHARDS, _FEWEST_SHARD_ROWS), _MOST_SHARD_ROWS)


class SplitWriter:
    """Writes the examples of one part of the data into one split's folder, and their columnar copy.

    `count` is the number of rows so far, `shards` that of each finished file by its name.

    Files get their names by the part's number and appear under them only when whole, so that a part that is written
    again, after a crash or by a Beam worker's second attempt, replaces its files.
    """

    def __init__(self, folder: str, part: int, shard_bytes: int, shard_rows: int) -> None:
        self.count = 0
        self.shards: dict[str, int] = {}
        self._folder, self._part, self._shard_bytes, self._shard_rows = folder, part, shard_bytes, shard_rows
        self._shard, self._written, self._begun_at = 0, 0, 0
        self._writer: object | None = None
        self._columns: ColumnFileWriter | None = None

    def write_rows(self, records: Sequence[bytes], batch: pa.RecordBatch) -> None:
        """Appends serialized examples and the same rows as columns of values; none opens no file.

        Raises:
            TaxiwayError: the disk is full, or the folder is not writable.
        """
        if records:
            with explain_write_errors(self._folder):
                self._write_rows(records, batch)

    def _write_rows(self, records: Sequence[bytes], batch: pa.RecordBatch) -> None:
        if self._writer is None or self._is_full():
            self._open_shard()
        write = self._writer.write  # type: ignore[union-attr]
        for record in records:
            write(record)
        self._columns.write_batch(batch)  # type: ignore[union-attr]
        self.count += len(records)
        self._written += sum(map(len, records))

    def _is_full(self) -> bool:
        return self._written >= self._shard_bytes or self.count - self._begun_at >= self._shard_rows

    def _open_shard(self) -> None:
        import tensorflow as tf  # only the writing needs it

        self._close_shard()
        for path in (self._temporary_path(), self._temporary_column_path()):
            _make_folder(path)
        options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=COMPRESSION_LEVEL)
        self._writer, self._written = tf.io.TFRecordWriter(self._temporary_path(), options), 0
        self._columns, self._begun_at = ColumnFileWriter(self._temporary_column_path()), self.count

    def close(self, *, even_if_empty: bool = False) -> None:
        """Finishes the file and gives it its name; a split without rows gets a file without records if asked."""
        with explain_write_errors(self._folder):
            if even_if_empty and self._writer is None and self._shard == 0:
                self._open_shard()
            self._close_shard()

    def _close_shard(self) -> None:
        if self._writer is None or self._columns is None:
            return
        self._writer.close()  # type: ignore[attr-defined]
        target = f"{self._folder}/{self._make_shard_name()}"
        # The copy first: where there is a file of examples, a reader finds its copy, or takes the examples.
        if self._columns.close():
            _move_file(self._temporary_column_path(), locate_column_file(target))
        self._writer = self._columns = None
        _move_file(self._temporary_path(), target)
        self.shards[self._make_shard_name()] = self.count - self._begun_at
        self._shard += 1

    def _make_shard_name(self) -> str:
        return f"data_tfrecord-{self._part:05d}-{self._shard:05d}.gz"

    def _temporary_path(self) -> str:
        # Beside the split's folder: readers take every file inside it.
        parent, _, split = self._folder.rpartition("/")
        return f"{parent}/.writing/{split}/{self._make_shard_name()}"

    def _temporary_column_path(self) -> str:
        return locate_column_file(self._temporary_path())


def _make_folder(path: str) -> None:
    if not is_remote(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)


def _move_file(source: str, target: str) -> None:
    from tensorflow.io import gfile

    gfile.makedirs(target.rpartition("/")[0])
    gfile.rename(source, target, overwrite=True)


_EncodedBatch = tuple[Future[list[bytes]], pa.RecordBatch, np.ndarray]
"""Serialized examples to come, the batch that they are of, and the index of the writer of each row."""


class ParallelExampleWriter:
    """Encodes batches in a few threads and writes the records, in order, in one more.

    Encoder and compression leave Python's lock, so reading, encoding and writing each have a core. An error in a
    thread is raised by the next `put_batch`, or at the end of the `with` block.
    """

    def __init__(self, writers: Sequence[SplitWriter]) -> None:
        self._writers = writers
        self._queue: queue.Queue[tuple[Future[list[bytes]], pa.RecordBatch, np.ndarray] | None] = queue.Queue(
            _QUEUED_BATCHES
        )
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write_records, name="write examples", daemon=True)
        self._encoders = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="encode examples")

    def put_batch(self, examples: pa.RecordBatch, split: np.ndarray) -> None:
        """Takes a batch of columns of values and the index of the writer of each row, int8 `[rows]`."""
        for start in range(0, len(split), _ENCODE_ROWS):
            self._raise_error()
            part = examples.slice(start, _ENCODE_ROWS)
            self._queue.put((self._encoders.submit(_encode_batch, part), part, split[start : start + _ENCODE_ROWS]))

    def _write_records(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:  # after an error the queue is only emptied: `put_batch` must not wait for ever
                self._error = self._try_write_batch(*item)

    def _try_write_batch(
        self, encoded: Future[list[bytes]], batch: pa.RecordBatch, split: np.ndarray
    ) -> BaseException | None:
        try:
            records = encoded.result()
            for index, writer in enumerate(self._writers):
                rows = np.flatnonzero(split == index)
                writer.write_rows([records[i] for i in rows.tolist()], batch.take(pa.array(rows)))
        except BaseException as error:  # handed to the caller's thread
            return error
        return None

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> ParallelExampleWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()
        self._encoders.shutdown()
        if kind is None:
            self._raise_error()


def _encode_batch(batch: pa.RecordBatch) -> list[bytes]:
    return encode_examples(wrap_in_lists(batch))


@contextlib.contextmanager
def explain_write_errors(folder: str) -> Iterator[None]:
    """A full disk or a folder without rights, as our error with the folder's name."""
    try:
        yield
    except (_make_tensorflow_error(), OSError) as error:
        text = str(getattr(error, "message", "") or error).split("\n")[0]
        raise TaxiwayError(
            f"The examples cannot be written to {folder}: {text}",
            "Is the disk full, or the folder not writable? --root chooses another one.",
        ) from error


def _make_tensorflow_error() -> type[Exception]:
    import tensorflow as tf  # looked at only where something was raised

    return tf.errors.OpError
