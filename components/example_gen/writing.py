"""Arrow batches as files of serialized `tf.Example`s, encoded in C++ and compressed in threads beside the reading."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.errors import TaxiwayError
from components.tables.columns import encodable
from components.tables.files import is_remote

COMPRESSION_LEVEL = 1
"""Of gzip: the fastest. TFX's own writers take 6, for files a quarter smaller at three times the CPU."""
_QUEUED_BATCHES = 4
_ENCODERS = 2
_ENCODE_ROWS = 8192


def example_batch(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Columns of values as the columns of lists that the encoder takes; a missing value is an empty list."""
    return pa.RecordBatch.from_arrays([_lists(a) for a in columns.values()], names=list(columns))


def _lists(array: pa.Array) -> pa.Array:
    values = encodable(array)
    if values.null_count == 0:
        offsets = np.arange(len(values) + 1, dtype=np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values)
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.asarray(values.is_valid()), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values.drop_null())


class SplitWriter:
    """Writes the examples of one part of the data into one split's folder.

    Files get their names by the part's number and appear under them only when whole, so that a part that is written
    again, after a crash or by a Beam worker's second attempt, replaces its files.
    """

    def __init__(self, folder: str, part: int, shard_bytes: int) -> None:
        self.count = 0
        self._folder, self._part, self._shard_bytes = folder, part, shard_bytes
        self._shard, self._written = 0, 0
        self._writer: object | None = None

    def write(self, records: Sequence[bytes]) -> None:
        """Appends serialized examples; none opens no file.

        Raises:
            TaxiwayError: the disk is full, or the folder is not writable.
        """
        if records:
            with writable(self._folder):
                self._write(records)

    def _write(self, records: Sequence[bytes]) -> None:
        if self._writer is None or self._written >= self._shard_bytes:
            self._open()
        write = self._writer.write  # type: ignore[union-attr]
        for record in records:
            write(record)
        self.count += len(records)
        self._written += sum(map(len, records))

    def _open(self) -> None:
        import tensorflow as tf  # only the writing needs it

        self._close()
        _make_folder(self._temporary())
        options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=COMPRESSION_LEVEL)
        self._writer, self._written = tf.io.TFRecordWriter(self._temporary(), options), 0

    def close(self, *, even_if_empty: bool = False) -> None:
        """Finishes the file and gives it its name; a split without rows gets a file without records if asked."""
        with writable(self._folder):
            if even_if_empty and self._writer is None and self._shard == 0:
                self._open()
            self._close()

    def _close(self) -> None:
        if self._writer is None:
            return
        self._writer.close()  # type: ignore[attr-defined]
        self._writer = None
        _rename(self._temporary(), f"{self._folder}/{self._name()}")
        self._shard += 1

    def _name(self) -> str:
        return f"data_tfrecord-{self._part:05d}-{self._shard:05d}.gz"

    def _temporary(self) -> str:
        # Beside the split's folder: readers take every file inside it.
        parent, _, split = self._folder.rpartition("/")
        return f"{parent}/.writing/{split}-{self._name()}"


def _make_folder(path: str) -> None:
    if not is_remote(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)


def _rename(source: str, target: str) -> None:
    from tensorflow.io import gfile

    gfile.makedirs(target.rpartition("/")[0])
    gfile.rename(source, target, overwrite=True)


class EncodeAndWrite:
    """Encodes batches in a few threads and writes the records, in order, in one more.

    Encoder and compression leave Python's lock, so reading, encoding and writing each have a core. An error in a
    thread is raised by the next `put`, or at the end of the `with` block.
    """

    def __init__(self, writers: Sequence[SplitWriter]) -> None:
        self._writers = writers
        self._queue: queue.Queue[tuple[Future[list[bytes]], np.ndarray] | None] = queue.Queue(_QUEUED_BATCHES)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="write examples", daemon=True)
        self._encoders = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="encode examples")

    def put(self, examples: pa.RecordBatch, split: np.ndarray) -> None:
        """Takes a batch of list columns and the index of the writer of each row, int8 `[rows]`."""
        for start in range(0, len(split), _ENCODE_ROWS):
            self._raise()
            part = examples.slice(start, _ENCODE_ROWS)
            self._queue.put((self._encoders.submit(_encode, part), split[start : start + _ENCODE_ROWS]))

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:  # after an error the queue is only emptied, so that `put` never waits for ever
                self._error = self._try_write(*item)

    def _try_write(self, encoded: Future[list[bytes]], split: np.ndarray) -> BaseException | None:
        try:
            records = encoded.result()
            for index, writer in enumerate(self._writers):
                writer.write([records[i] for i in np.flatnonzero(split == index).tolist()])
        except BaseException as error:  # handed to the caller's thread
            return error
        return None

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> EncodeAndWrite:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()
        self._encoders.shutdown()
        if kind is None:
            self._raise()


def _encode(examples: pa.RecordBatch) -> list[bytes]:
    from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

    return RecordBatchToExamplesEncoder().encode(examples)  # made anew: an encoder is not shared by threads


@contextlib.contextmanager
def writable(folder: str) -> Iterator[None]:
    """A full disk or a folder without rights, as our error with the folder's name."""
    try:
        yield
    except (_tensorflow_error(), OSError) as error:
        text = str(getattr(error, "message", "") or error).split("\n")[0]
        raise TaxiwayError(
            f"The examples cannot be written to {folder}: {text}",
            "Is the disk full, or the folder not writable? --root chooses another one.",
        ) from error


def _tensorflow_error() -> type[Exception]:
    import tensorflow as tf  # looked at only where something was raised

    return tf.errors.OpError
