"""Serialized rows together with some of their columns: what a model is judged by, without decoding the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from taxiway.components.errors import DataError
from taxiway.components.files.tfrecord_files import measure_records, read_records
from taxiway.components.tables.examples.column_files import BATCH_ROWS
from taxiway.components.tables.examples.shards import ExampleShard, read_shard

_BATCH_BYTES = 32 << 20
_LEAST_ROWS, _SEEN_ROWS = 64, 64


def read_judged_rows(shard: ExampleShard, columns: Sequence[str]) -> Iterator[tuple[list[bytes], pa.Table]]:
    """The rows of one file of examples, in order, thousands at a time.

    Args:
        shard: The file. Its columnar copy is read where it has one; else the records are decoded.
        columns: The columns to read.

    Yields:
        Serialized `tf.Example`s, and as many rows of the columns, `large_list` each. A column that none of the rows has
        is left out, or empty.

    Raises:
        DataError: A file is damaged, or the copy has other rows: fewer or more.
    """
    batch_rows = choose_batch_rows(shard.records)
    batches = read_shard(shard, columns, batch_rows)
    rest = pa.table({})
    for records in read_records(shard.records, batch_rows):
        while len(rest) < len(records):
            rest = _append_rows(rest, _read_more(batches, shard))
        yield records, rest.slice(0, len(records))
        rest = rest.slice(len(records))
    if len(rest) or any(batch.num_rows for batch in batches):
        raise _refuse_copy(shard, "more")


def _read_more(batches: Iterator[pa.RecordBatch], shard: ExampleShard) -> pa.RecordBatch:
    batch = next(batches, None)
    if batch is None:
        raise _refuse_copy(shard, "fewer")
    return batch


def _refuse_copy(shard: ExampleShard, how_many: str) -> DataError:
    return DataError(
        f"{shard.columns or shard.records} has {how_many} rows than {shard.records}.",
        "Run the component that wrote the examples again.",
    )


def _append_rows(table: pa.Table, batch: pa.RecordBatch) -> pa.Table:
    more = pa.Table.from_batches([batch])
    return pa.concat_tables(_give_same_columns([table, more])) if len(table) else more


def _give_same_columns(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """The tables with the columns of all: a decoded batch lacks those that none of its rows has, or their types.

    By hand: pyarrow 10 and 18 have other options for it.
    """
    types: dict[str, pa.DataType] = {}
    for field in (field for table in tables for field in table.schema):
        if pa.types.is_null(types.get(field.name, pa.null())):
            types[field.name] = field.type
    return [pa.table({name: _get_column(table, name, kind) for name, kind in types.items()}) for table in tables]


def _get_column(table: pa.Table, name: str, kind: pa.DataType) -> Any:
    if name in table.column_names and table[name].type == kind:
        return table[name]
    return pa.nulls(len(table), kind)


def choose_batch_rows(path: str) -> int:
    """Rows of a batch: thousands, fewer where rows are wide, by the first rows of the file."""
    sizes = measure_records(path, _SEEN_ROWS)
    row_bytes = sum(sizes) // max(len(sizes), 1) + 1
    return min(BATCH_ROWS, max(_LEAST_ROWS, _BATCH_BYTES // row_bytes))
