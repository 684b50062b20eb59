"""The columnar copy of a file of examples: one Parquet file, whose columns hold values, null where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from taxiway.components.tables.readers.parquet_files import open_parquet, open_parquet_writer
from taxiway.components.tables.sources.open_files import import_gfile, is_remote

BATCH_ROWS = 8192
"""Rows of a batch that is read: enough to spread a call's cost, few enough for the processor's cache."""
_MOST_CELLS = 1 << 22
"""Rows times columns of a batch: a table of thousands of columns has fewer rows in it, about a thousand."""
_GROUP_ROWS, _GROUP_BYTES = 1 << 16, 16 << 20
"""Size at which a row group is written: what the writer holds, and a reader decodes at a time."""


class ColumnFileWriter:
    """Writes one file, a row group at a time."""

    def __init__(self, path: str) -> None:
        """Args:
        path: Path of the file; its folder exists. A URL's file is held in memory until it is whole.
        """
        self._path = path
        self._sink: Any = pa.BufferOutputStream() if is_remote(path) else path
        self._writer: Any = None
        self._batches: list[pa.RecordBatch] = []
        self._rows, self._bytes = 0, 0

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Appends rows: columns of int64, float32 or large_binary, of the same names and types in every batch."""
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        table = pa.Table.from_batches(self._batches)
        table = table.select(sorted(table.column_names))  # the decoder of examples sorts them too
        if self._writer is None:
            self._writer = open_parquet_writer(self._sink, table.schema)
        self._writer.write_table(table)
        self._batches, self._rows, self._bytes = [], 0, 0

    def close(self) -> bool:
        """Finishes the file.

        Returns:
            Whether there is one: without rows there is none.
        """
        if self._batches:
            self._write_group()
        if self._writer is None:
            return False
        self._writer.close()
        if is_remote(self._path):
            with import_gfile().GFile(self._path, "wb") as out:
                out.write(self._sink.getvalue().to_pybytes())
        return True


def read_column_file(
    path: str, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """The rows of a columnar copy, in order.

    Args:
        path: Path that a `ColumnFileWriter` wrote.
        columns: Columns to read; None: all. Those that the file lacks are left out.
        batch_rows: The most rows of a batch; fewer where there are very many columns.

    Yields:
        Columns of int64, float32 or large_binary values, null where a row has none.
    """
    with import_gfile().GFile(path, "rb") if is_remote(path) else Path(path).open("rb") as stream:
        parquet = open_parquet(stream, path)
        names = [name for name in parquet.schema_arrow.names if columns is None or name in columns]
        rows = min(batch_rows, max(_MOST_CELLS // max(len(names), 1), 1))
        yield from parquet.iter_batches(batch_size=rows, columns=names)


def wrap_in_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Columns of values as columns of lists, `large_list`, as tfx_bsl decodes and encodes `tf.Example`s.

    A missing value is an empty list: ExampleGen writes a feature without values for it.
    """
    return pa.RecordBatch.from_arrays([_wrap_column(column) for column in batch.columns], names=batch.schema.names)


def _wrap_column(values: pa.Array) -> pa.Array:
    if values.null_count == 0:
        return pa.LargeListArray.from_arrays(pa.array(np.arange(len(values) + 1)), values)
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.asarray(values.is_valid()), out=offsets[1:])
    return pa.LargeListArray.from_arrays(pa.array(offsets), values.drop_null())
