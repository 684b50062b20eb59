"""Which columns of a file are read, and how many rows at once."""

from __future__ import annotations

from collections.abc import Iterable

from taxiway.components.errors import DataError, suggest_matches
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.sources.source_file import SourceFile

BATCH_ROWS = 16_384


def select_file_columns(
    names: Iterable[str], data: TableConfig, columns: tuple[str, ...] | None, file: SourceFile
) -> list[str]:
    """The columns to read of a file whose columns are known, in the file's order.

    Raises:
        DataError: the file does not have one of `columns`.
    """
    names = list(names)
    for name in columns or ():
        if name not in names:
            raise DataError(f"{file.name} has no column {name!r}.", suggest_matches(name, names))
    return [n for n in names if (columns is None and n not in data.leave_out) or (columns and n in columns)]


def choose_present_columns(names: Iterable[str], data: TableConfig, columns: tuple[str, ...] | None) -> list[str]:
    """The columns of a batch of rows with keys of their own: a wanted one that no row has holds missing values."""
    return [n for n in names if n not in data.leave_out] if columns is None else list(columns)
