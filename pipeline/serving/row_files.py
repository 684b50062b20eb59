"""Rows for `taxiway predict`: a file, or standard input, whose format is told by its first bytes."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from taxiway.components.tables.prediction.row_source import RowSource
from taxiway.components.tables.sources import file_format

_FIRST_BYTES = 4096
_SHOWN = "standard input"


@contextlib.contextmanager
def open_rows(file: Path | None, limit: int | None) -> Iterator[RowSource]:
    """The rows that a command names.

    Args:
        file: File; None or `-`: standard input, which is copied to a temporary file.
        limit: Most rows; None: all.
    """
    if file and str(file) != "-":
        yield RowSource(path=str(file), limit=limit)
        return
    with tempfile.TemporaryDirectory(prefix="taxiway-rows-") as folder:
        kept = Path(folder, "rows")
        with kept.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        if not _read_first_bytes(kept).strip():
            yield RowSource(limit=limit)
            return
        kind, suffix = guess_format(kept)
        named = kept.rename(kept.with_name(f"rows{suffix}"))
        yield RowSource(path=str(named), file_format=kind, shown=_SHOWN, limit=limit)


def guess_format(file: Path) -> tuple[str, str]:
    """The format of rows by their first bytes, and the ending of the name that a file of it would have."""
    start = _read_first_bytes(file)
    kind = file_format.detect_format(start) or "csv"
    header = start.partition(b"\n")[0]
    is_tabbed = kind == "csv" and b"\t" in header and b"," not in header
    return kind, ".tsv" if is_tabbed else f".{kind}"


def _read_first_bytes(file: Path) -> bytes:
    with file.open("rb") as rows:
        start = rows.read(_FIRST_BYTES)
    if start.startswith(b"\x1f\x8b"):
        with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(file) as unpacked:
            return unpacked.read(_FIRST_BYTES)
    return start
