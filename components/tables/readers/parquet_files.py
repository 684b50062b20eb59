"""Opens Parquet. The only module that may: reading with Arrow 10 runs code that a file brings (CVE-2023-47248).

A field of the extension type `arrow.py_extension_type` holds a pickle, and Arrow unpickles it when it reads the
*schema*. `forbid_pickled_types` puts a type in its place that refuses, before the first read, and ruff refuses
`pyarrow.parquet`, `.dataset`, `.ipc` and `.feather` elsewhere.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxiway.components.errors import DataError
from taxiway.components.stack_seam import PICKLED_TYPE, forbid_pickled_types
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.column_choice import BATCH_ROWS, select_file_columns
from taxiway.components.tables.sources.open_files import open_decompressed
from taxiway.components.tables.sources.source_file import SourceFile

_HOLDS_A_PROGRAM = f"its schema holds a pickled Python object (the extension type {PICKLED_TYPE})"


def open_parquet(source: str | os.PathLike[str] | IO[bytes] | Any, name: str) -> pq.ParquetFile:
    """Opens a Parquet file, whose schema is then known; nothing in it is run.

    Args:
        source: A path, an open file or an Arrow buffer.
        name: The file's name in messages.

    Raises:
        DataError: Its schema holds a program.
        pyarrow.ArrowInvalid, OSError: It is no Parquet file.
    """
    forbid_pickled_types()
    try:
        return pq.ParquetFile(source)
    except RuntimeError as error:
        if PICKLED_TYPE not in str(error):
            raise
        raise _make_pickled_type_error(name) from None  # the original lists the pickle
    except ValueError as error:
        if isinstance(error, pa.ArrowInvalid):
            raise
        raise _make_pickled_type_error(name) from None  # a pickle so broken that it cannot even be listed


def open_parquet_writer(sink: str | Any, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer for a file of our own: columns whose values repeat are stored as dictionaries.

    Args:
        sink: A path or an Arrow stream.
        schema: The columns.
    """
    return pq.ParquetWriter(sink, schema, compression="snappy")


def _make_pickled_type_error(name: str) -> DataError:
    return DataError(
        f"{name} is refused: {_HOLDS_A_PROGRAM}, which Arrow would run.",
        "Do not open it elsewhere either. Write the data again without Python's own column types.",
    )


def read_parquet(
    file: SourceFile, data: TableConfig, columns: tuple[str, ...] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """Batches in the file's own types. A damaged file is an error, never a bad row."""
    del bad
    with open_decompressed(file) as stream:
        source = io.BytesIO(stream.read()) if file.compression else stream
        parquet = open_parquet(source, file.name)
        names = parquet.schema_arrow.names
        doubles = [name for name, count in Counter(names).items() if count > 1]
        if doubles:
            raise DataError(f"{file.name}: two columns have the name {doubles[0]!r}.", "Rename one.")
        groups = list(range(file.start, file.end or parquet.metadata.num_row_groups))
        chosen = select_file_columns(names, data, columns, file)
        yield from parquet.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=chosen)
