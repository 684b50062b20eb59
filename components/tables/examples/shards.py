"""The files of a split of `Examples`, and their rows: from the columnar copy, or decoded where there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from taxiway.components.files.tfrecord_files import read_records
from taxiway.components.tables.examples.column_files import BATCH_ROWS, read_column_file, wrap_in_lists
from taxiway.components.tables.sources.open_files import import_gfile, is_remote
from taxiway.components.tables.tfx_bsl_private import make_example_decoder

SPLIT_PREFIX, COLUMNS_PREFIX = "Split-", "Columns-"
_COLUMNS_ENDING = ".parquet"
_DECODERS = 2


@dataclass(frozen=True)
class ExampleShard:
    """One file of examples.

    Attributes:
        records: Path of the TFRecords.
        columns: Path of the columnar copy of the same rows in the same order; empty where there is none.
    """

    records: str
    columns: str = ""


def locate_column_file(records: str) -> str:
    """Where the columnar copy of a file of TFRecords lies, if there is one: `Columns-SPLIT/` beside `Split-SPLIT/`."""
    folder, _, name = records.rpartition("/")
    artifact, _, split = folder.rpartition("/")
    return f"{artifact}/{COLUMNS_PREFIX}{split.removeprefix(SPLIT_PREFIX)}/{name.removesuffix('.gz')}{_COLUMNS_ENDING}"


def list_shards(examples: str, split: str) -> tuple[ExampleShard, ...]:
    """The files of a split, in the order of their names; none where there is no such split.

    Args:
        examples: Folder of the `Examples` artifact, a path or a URL.
        split: Name of the split, such as `train`.
    """
    return list_folder_shards(locate_split(examples, split))


def locate_split(examples: str, split: str) -> str:
    """The folder of a split's files; see `list_shards`."""
    return f"{examples.rstrip('/')}/{SPLIT_PREFIX}{split}"


def list_folder_shards(folder: str) -> tuple[ExampleShard, ...]:
    """As `list_shards`, of the folder that holds the files of a split."""
    records = [f"{folder}/{name}" for name in _list_names(folder)]
    copies = [locate_column_file(path) for path in records]
    there = set(_list_names(copies[0].rpartition("/")[0])) if copies else set()
    return tuple(
        ExampleShard(path, copy if copy.rpartition("/")[2] in there else "")
        for path, copy in zip(records, copies, strict=True)
    )


def find_shard(records: str) -> ExampleShard:
    """One file of TFRecords, with its columnar copy where there is one."""
    copy = locate_column_file(records)
    exists = import_gfile().exists(copy) if is_remote(copy) else Path(copy).is_file()
    return ExampleShard(records, copy if exists else "")


def _list_names(folder: str) -> list[str]:
    if is_remote(folder):
        gfile = import_gfile()
        names = gfile.listdir(folder) if gfile.isdir(folder) else []
    else:
        names = [path.name for path in Path(folder).iterdir()] if Path(folder).is_dir() else []
    return sorted(name for name in names if not name.startswith("."))


def read_shard(
    shard: ExampleShard, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """The rows of one file, in order, a batch at a time.

    Args:
        shard: The file.
        columns: Columns to read; None: all. One that no row of a batch has is left out of the batch.
        batch_rows: The most rows of a batch.

    Yields:
        Columns `large_list` of int64, float32 or large_binary, sorted by name, as tfx_bsl decodes `tf.Example`s.

    Raises:
        DataError: The file is damaged.
    """
    if shard.columns:
        yield from map(wrap_in_lists, read_column_file(shard.columns, columns, batch_rows))
        return
    for batch in _decode_ahead(read_records(shard.records, batch_rows)):
        yield _select_columns(batch, columns)


def _decode_ahead(records: Iterator[list[bytes]]) -> Iterator[pa.RecordBatch]:
    """Decodes in a few threads, in order: the decoder leaves Python's lock, and is the slowest part of the reading."""
    with ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode examples") as pool:
        waiting: deque[Future[pa.RecordBatch]] = deque()
        for part in records:
            waiting.append(pool.submit(_decode_records, part))
            if len(waiting) > _DECODERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _decode_records(records: list[bytes]) -> pa.RecordBatch:
    return make_example_decoder()(records)


def _select_columns(batch: pa.RecordBatch, columns: Sequence[str] | None) -> pa.RecordBatch:
    if columns is None:
        return batch
    kept = [name for name in batch.schema.names if name in columns]
    arrays = [batch.column(batch.schema.get_field_index(name)) for name in kept]
    return pa.RecordBatch.from_arrays(arrays, names=kept)


def read_split(
    examples: str, split: str, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """The rows of a split, file by file; see `list_shards` and `read_shard`."""
    for shard in list_shards(examples, split):
        yield from read_shard(shard, columns, batch_rows)
