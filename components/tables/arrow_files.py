"""Opens Parquet. The only module that may: reading with Arrow 10 runs code that a file brings (CVE-2023-47248).

A field of the extension type `arrow.py_extension_type` holds a pickle, and Arrow unpickles it when it reads the
*schema*. `pyarrow_hotfix` puts a type in its place that refuses; it does so when it is imported, so it comes first
here, and ruff refuses `pyarrow.parquet`, `.dataset`, `.ipc` and `.feather` elsewhere.
"""

from __future__ import annotations

import os
from typing import IO, Any

import pyarrow as pa
import pyarrow_hotfix

import pyarrow.parquet as pq  # isort: skip

from components.errors import DataError

_PICKLED_TYPE = "arrow.py_extension_type"
_HOLDS_A_PROGRAM = "its schema holds a pickled Python object (the extension type arrow.py_extension_type)"


def open_parquet(source: str | os.PathLike[str] | IO[bytes] | Any, name: str) -> pq.ParquetFile:
    """Opens a Parquet file, whose schema is then known; nothing in it is run.

    Args:
        source: A path, an open file or an Arrow buffer.
        name: How messages call it.

    Raises:
        DataError: Its schema holds a program.
        pyarrow.ArrowInvalid, OSError: It is no Parquet file.
    """
    pyarrow_hotfix.install()  # another package may have taken it out again
    try:
        return pq.ParquetFile(source)
    except RuntimeError as error:
        if _PICKLED_TYPE not in str(error):
            raise
        raise _program(name) from None  # the original lists the pickle
    except ValueError as error:
        if isinstance(error, pa.ArrowInvalid):
            raise
        raise _program(name) from None  # a pickle so broken that it cannot even be listed


def read_table(source: str | os.PathLike[str] | IO[bytes] | Any, name: str) -> pa.Table:
    """A whole Parquet file as a table; errors as `open_parquet`."""
    return open_parquet(source, name).read()


def _program(name: str) -> DataError:
    return DataError(
        f"{name} is refused: {_HOLDS_A_PROGRAM}, which Arrow would run.",
        "Do not open it elsewhere either. Write the data again without Python's own column types.",
    )
