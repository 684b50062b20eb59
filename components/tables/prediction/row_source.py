"""Where rows to be scored come from. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import DataError


@dataclass(frozen=True)
class RowSource:
    """Where rows to be scored come from.

    Attributes:
        path: A file, a folder or a glob; empty: `given` holds the rows.
        given: Rows of Python values by column.
        file_format: The format of `path`; `auto`: by its name.
        shown: The name in messages; empty: its path.
        limit: The largest number of rows; None: all.
    """

    path: str = ""
    given: Sequence[Mapping[str, Any]] = ()
    file_format: str = "auto"
    shown: str = ""
    limit: int | None = None


def check_file_exists(source: RowSource) -> None:
    """Raises `DataError` where the source names one file here that is not there."""
    path = source.path
    if path and "://" not in path and not any(c in path for c in "*?[{") and not Path(path).expanduser().exists():
        raise DataError(f"There is no file {path}.", "Name a file of rows, or give rows on standard input.")
