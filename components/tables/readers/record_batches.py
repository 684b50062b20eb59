"""Files as streams of Arrow record batches: one reader a format, one set of errors.

A reader yields batches of at most a few MiB: csv as text (`binary`, missing values already null), the other formats
in their own types. Nothing holds a whole file, but Parquet and text inside an archive that must be sought in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pyarrow as pa

from taxiway.components.errors import DataError
from taxiway.components.extensions import load_extension
from taxiway.components.tables.columns.texts import mask_null_words
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.csv_files import read_csv, read_csv_columns
from taxiway.components.tables.readers.json_rows import read_jsonl
from taxiway.components.tables.readers.parquet_files import open_parquet, read_parquet
from taxiway.components.tables.readers.read_errors import explain_read_errors
from taxiway.components.tables.readers.tfrecord_files import read_tfrecord
from taxiway.components.tables.sources.open_files import open_decompressed
from taxiway.components.tables.sources.source_file import SourceFile, parse_folder_columns

Reader = Callable[[SourceFile, TableConfig, "tuple[str, ...] | None", BadRows], Iterator[pa.RecordBatch]]


def read_record_batches(
    file: SourceFile, data: TableConfig, columns: Iterable[str] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """The rows of a file.

    Args:
        file: The file.
        data: The section that says how the file is written.
        columns: The columns to read, or None for all but `data.leave_out`. One that the file does not have is an error.
        bad: The collection that takes the rows that cannot be read.

    Raises:
        DataError: the file cannot be read at all.
    """
    wanted = None if columns is None else tuple(columns)
    folders = parse_folder_columns(file, data)
    inside = wanted if wanted is None else tuple(name for name in wanted if name not in folders) or None
    with explain_read_errors(file):
        for batch in _find_reader(file.format)(file, data, inside, bad):
            yield _add_folder_columns(_mask_batch_null_words(batch, data), folders, data, wanted)


def read_column_names(file: SourceFile, data: TableConfig) -> list[str]:
    """The columns of a file, as far as its first rows show them."""
    if file.format == "csv":
        return [*read_csv_columns(file, data), *parse_folder_columns(file, data)]
    if file.format == "parquet" and not file.compression:
        with explain_read_errors(file), open_decompressed(file) as stream:
            return [
                *open_parquet(stream, file.name).schema_arrow.names,
                *parse_folder_columns(file, data),
            ]
    batch = next(read_record_batches(file, data.model_copy(update={"leave_out": ()}), None, BadRows()), None)
    return [] if batch is None else list(batch.schema.names)


def _add_folder_columns(
    batch: pa.RecordBatch, folders: dict[str, str | None], data: TableConfig, wanted: tuple[str, ...] | None
) -> pa.RecordBatch:
    """The batch with the columns that the names of its folders give; one of the file's own has precedence."""
    if not folders:
        return batch
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, text in folders.items():
        if name not in arrays and name not in (data.leave_out if wanted is None else ()):
            value = None if text is None else text.encode()
            arrays[name] = pa.array([value] * batch.num_rows, pa.binary())
    kept = list(arrays) if wanted is None else [name for name in wanted if name in arrays]
    return pa.RecordBatch.from_arrays([arrays[name] for name in kept], names=kept)


def _mask_batch_null_words(batch: pa.RecordBatch, data: TableConfig) -> pa.RecordBatch:
    """The batch with the words of `data.null_values` as missing values, in columns of text."""
    named = [name for name in data.null_values if name in batch.schema.names]
    if not named:
        return batch
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name in named:
        arrays[name] = mask_null_words(arrays[name], data.null_values[name])
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _find_reader(name: str) -> Reader:
    if name in READERS:
        return READERS[name]
    read_file = load_extension("taxiway.readers", name)
    if read_file is None:
        raise DataError(f"No installed package reads the format {name!r}.", f"Ours: {', '.join(READERS)}.")
    return partial(_read_foreign_file, read_file)


def _read_foreign_file(
    read_file: Callable[[str], Iterable[pa.RecordBatch]],
    file: SourceFile,
    data: TableConfig,
    columns: tuple[str, ...] | None,
    bad: BadRows,
) -> Iterator[pa.RecordBatch]:
    """The batches of another package's reader, with the columns that are asked for."""
    if file.compression:
        raise DataError(f"{file.name} is compressed, and {file.format} files are read as they are.", "Unpack it.")
    for batch in read_file(file.path):
        if not isinstance(batch, pa.RecordBatch):
            raise DataError(
                f"The reader of {file.format} gave {type(batch).__name__} for {file.name}.",
                "It must yield pyarrow.RecordBatch.",
            )
        missing = [name for name in columns or () if name not in batch.schema.names]
        if missing:
            raise DataError(f"{file.name} has no column {missing[0]!r}.", f"It has: {', '.join(batch.schema.names)}.")
        kept = columns or [name for name in batch.schema.names if name not in data.leave_out]
        yield pa.RecordBatch.from_arrays([batch[name] for name in kept], names=list(kept))


READERS: dict[str, Reader] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "tfrecord": read_tfrecord,
}
