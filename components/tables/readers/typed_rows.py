"""Rows of a file as batches of typed columns: every reader of rows goes through here, in training and prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from taxiway.components.tables.columns.conversion import convert_values
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.record_batches import read_record_batches
from taxiway.components.tables.sources.source_file import SourceFile


def read_typed_batches(
    file: SourceFile, data: TableConfig, kinds: Mapping[str, str], bad: BadRows, columns: Sequence[str] | None
) -> Iterator[dict[str, pa.Array]]:
    """Batches of converted columns, without the rows whose values are not of their kind."""
    before = 0
    for batch in read_record_batches(file, data, columns, bad):
        if batch.num_rows:
            yield convert_batch(batch, file, {n: kinds[n] for n in columns} if columns else kinds, bad, before)
        before += batch.num_rows


def convert_batch(
    batch: pa.RecordBatch, file: SourceFile, kinds: Mapping[str, str], bad: BadRows, before: int
) -> dict[str, pa.Array]:
    """One column for each of `kinds`, without the rows whose values are not of their kind: those go to `bad`.

    Args:
        batch: The batch, as read.
        file: The file, for messages.
        kinds: The kind of each column; one that the batch lacks has no value.
        bad: The collection that takes the bad rows.
        before: The number of rows of the file before the batch.
    """
    arrays: dict[str, pa.Array] = {}
    wrong = np.zeros(batch.num_rows, bool)
    names = [name for name in kinds if name in batch.schema.names]
    raw = dict(zip(batch.schema.names, batch.columns, strict=True))
    # Rows with too few cells are skipped below us, and of a later part of a file nobody counts those before it.
    numbered = bad.count == 0 and not file.start
    for name in names:
        arrays[name], mask = convert_values(raw[name], kinds[name])
        if mask is not None:
            for i in np.flatnonzero(mask & ~wrong):
                _add_bad_value(
                    bad, file, before + int(i) + 1 if numbered else None, name, raw[name][int(i)], kinds[name]
                )
            wrong |= mask
    for name in kinds:  # a key or a feature that this batch lacks
        if name not in arrays:
            arrays[name] = convert_values(pa.nulls(batch.num_rows), kinds[name])[0]
    if not wrong.any():
        return arrays
    good = pa.array(~wrong)
    return {name: array.filter(good) for name, array in arrays.items()}


def _add_bad_value(bad: BadRows, file: SourceFile, row: int | None, name: str, value: pa.Scalar, kind: str) -> None:
    cell = value.as_py()
    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
    reason = "is no UTF-8 text or holds NUL" if kind == "string" else f"is no {kind}"
    bad.add_row(file.name, row, f"column {name!r} {reason}", text)
