"""Turns what libraries raise for files that cannot be read into a `DataError` with the file's name."""

from __future__ import annotations

import contextlib
import csv
import re
import zipfile
import zlib
from collections.abc import Iterator

import pyarrow as pa

from taxiway.components.errors import DataError
from taxiway.components.tables.readers.csv_stream import TooManyCellsError
from taxiway.components.tables.sources.source_file import SourceFile

BLOCK_BYTES = 4 << 20
"""Of text read at once; also the longest row."""


@contextlib.contextmanager
def explain_read_errors(file: SourceFile) -> Iterator[None]:
    """What libraries raise for unreadable files, as a DataError with the file's name."""
    try:
        yield
    except TooManyCellsError as error:
        raise DataError(f"{file.name} cannot be read as {file.format}: {error}.", suggest_remedy(file)) from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{file.name} cannot be read as {file.format}: {take_first_error_line(error)}", suggest_remedy(file)
        ) from error
    except (UnicodeError, csv.Error, OverflowError) as error:
        raise DataError(
            f"{file.name}: the text cannot be decoded: {take_first_error_line(error)}", suggest_remedy(file)
        ) from error


_TENSORFLOWS_OWN = re.compile(r"\{\{[^}]*\}\}|\[Op:\w+\]( name:)?")


def take_first_error_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0] or type(error).__name__
    text = _TENSORFLOWS_OWN.sub("", text).strip()
    if "straddles two block boundaries" in text:  # Arrow's words, with a remedy that does not apply here
        text = f"a row is longer than {BLOCK_BYTES >> 20} MiB"
    return text if text.endswith(".") else f"{text}."


def suggest_remedy(file: SourceFile) -> str:
    if file.format == "csv":
        return (
            "Look for a quote that is not closed, a row longer than 4 MiB, or another encoding (data.csv.encoding); "
            "a damaged archive must be made again."
        )
    return f"Is it really {file.format}, whole and not half written? data.format says how it is read."
