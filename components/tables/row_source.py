"""Where rows to be scored come from. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RowSource:
    """Where rows to be scored come from.

    Attributes:
        path: A file, a folder or a glob; empty: `given` holds them.
        given: Python values by column.
        file_format: Of `path`; `auto`: by its name.
        shown: How messages call it; empty: by its path.
        limit: Most rows; None: all.
    """

    path: str = ""
    given: Sequence[Mapping[str, Any]] = ()
    file_format: str = "auto"
    shown: str = ""
    limit: int | None = None
