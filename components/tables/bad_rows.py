"""Rows that cannot be read: counted, and the first few of each file kept to be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from components.errors import DataError

BAD_ROWS_FILE = "bad_rows.jsonl"
SAMPLES_PER_FILE = 20
_TEXT_LENGTH = 500


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be read.

    Attributes:
        file: Where it is.
        row: Its number in the file, the first row of data being 1; None where the reader does not know.
        reason: What is wrong with it.
        text: Its beginning, as written.
    """

    file: str
    row: int | None
    reason: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}, row {self.row}" if self.row else self.file
        return f"{where}: {self.reason}: {self.text[:80]!r}"


@dataclass
class BadRows:
    """The bad rows of one part of the data."""

    count: int = 0
    samples: list[BadRow] = field(default_factory=list)

    def add(self, file: str, row: int | None, reason: str, text: str, lines: int = 1) -> None:
        """Counts a row, which may have swallowed several lines."""
        self.count += lines
        if len(self.samples) < SAMPLES_PER_FILE:
            self.samples.append(BadRow(file, row, reason, text[:_TEXT_LENGTH]))

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "samples": [asdict(sample) for sample in self.samples]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> BadRows:
        return cls(value["count"], [BadRow(**sample) for sample in value["samples"]])

    @classmethod
    def sum(cls, parts: Iterable[BadRows]) -> BadRows:
        parts = list(parts)
        return cls(sum(part.count for part in parts), [sample for part in parts for sample in part.samples])


def check_allowed(bad: BadRows, max_bad_rows: int) -> None:
    """Refuses data with more bad rows than the configuration allows.

    Raises:
        DataError: with the first of them.
    """
    if bad.count <= max_bad_rows:
        return
    shown = "\n".join(f"  {sample}" for sample in bad.samples[:5])
    raise DataError(
        f"{bad.count} rows cannot be read, and data.max_bad_rows allows {max_bad_rows}. The first of them:\n{shown}",
        f"Mend the rows, or set data.max_bad_rows to {bad.count} or more to leave such rows out.",
    )
