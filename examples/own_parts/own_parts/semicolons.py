"""A file format: one record a line, `name=value;name=value`, as logs are written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

ROWS = 10_000


def read_file(path: str) -> Iterator[pa.RecordBatch]:
    """The rows of a file in batches. Numbers are numbers where a whole batch of a column is."""
    with Path(path).open(encoding="utf-8") as lines:
        records = [dict(cell.split("=", 1) for cell in line.strip().split(";")) for line in lines if line.strip()]
    names = list(dict.fromkeys(name for record in records for name in record))
    for start in range(0, len(records), ROWS):
        part = records[start : start + ROWS]
        yield pa.RecordBatch.from_arrays(
            [_build_column([row.get(name) for row in part]) for name in names], names=names
        )


def _build_column(texts: list[str | None]) -> pa.Array:
    try:
        return pa.array([None if text is None else float(text) for text in texts])
    except ValueError:
        return pa.array(texts)
