"""Rows that cannot be read: counted, and the first few of each file kept to be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from taxiway.components.errors import DataError

BAD_ROWS_FILE = "bad_rows.jsonl"
SAMPLES_PER_FILE = 20
_TEXT_LENGTH = 500
_WIDTHS = re.compile(r"(\d+) cells, (\d+) columns")


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be read.

    Attributes:
        file: The file of the row.
        row: The row's number in the file, the first row of data being 1; None where the reader does not know.
        reason: The fault.
        text: The row's beginning, as written.
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
    """The bad rows of one part of the data.

    Attributes:
        count: The number of bad rows.
        samples: The first few of them.
        footers: Rows that are left out because a footer begins so (`data.csv.footer`); they are not bad.
    """

    count: int = 0
    samples: list[BadRow] = field(default_factory=list)
    footers: int = 0

    def add_row(self, file: str, row: int | None, reason: str, text: str, lines: int = 1) -> None:
        """Counts a row, which may have swallowed several lines."""
        self.count += lines
        if len(self.samples) < SAMPLES_PER_FILE:
            self.samples.append(BadRow(file, row, reason, text[:_TEXT_LENGTH]))

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "samples": [asdict(sample) for sample in self.samples], "footers": self.footers}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> BadRows:
        return cls(value["count"], [BadRow(**sample) for sample in value["samples"]], value.get("footers", 0))

    @classmethod
    def merge_parts(cls, parts: Iterable[BadRows]) -> BadRows:
        parts = list(parts)
        samples = [sample for part in parts for sample in part.samples]
        return cls(sum(part.count for part in parts), samples, sum(part.footers for part in parts))


def check_bad_count(bad: BadRows, max_bad_rows: int) -> None:
    """Refuses data with more bad rows than the configuration allows.

    Raises:
        DataError: with the first of them.
    """
    if bad.count <= max_bad_rows:
        return
    raise DataError(
        f"{_format_count(bad)}, and data.max_bad_rows allows {max_bad_rows}. The first of them:\n{format_samples(bad)}",
        f"Mend the rows, or set data.max_bad_rows to {bad.count} or more to leave such rows out.",
    )


def check_bad_share(bad: BadRows, rows: int, max_share: float) -> None:
    """Refuses a file of which so many rows are bad that it is read wrongly, or is no table.

    Args:
        bad: The bad rows.
        rows: The others.
        max_share: Bad rows, as a share of the others.

    Raises:
        DataError: with the first of them.
    """
    if bad.count <= int(max_share * rows):
        return
    beside = f"{rows:,} can" if rows else "no other row is there"
    raise DataError(
        f"{_format_count(bad)}; {beside}. The first of them:\n{format_samples(bad)}",
        f"{_explain_common_width(bad)}Mend the rows: a table may have {max_share:.0%} of such rows, which "
        f"are then left out.",
    )


def _format_count(bad: BadRows) -> str:
    return "1 row cannot be read" if bad.count == 1 else f"{bad.count:,} rows cannot be read"


def format_samples(bad: BadRows) -> str:
    """The first few rows, one a line, for a message."""
    return "\n".join(f"  {sample}" for sample in bad.samples[:5])


def _explain_common_width(bad: BadRows) -> str:
    """What all bad rows have in common: cells for which the header has no name, such as an empty last one."""
    widths = {match.groups() for row in bad.samples if (match := _WIDTHS.fullmatch(row.reason))}
    if len(widths) != 1 or len(bad.samples) < 2 or any(not _WIDTHS.fullmatch(row.reason) for row in bad.samples):
        return ""
    ((cells, columns),) = widths
    if int(cells) <= int(columns):
        return ""
    return (
        f"All of these have {cells} cells where the header names {columns} columns: add a name for each cell to the "
        "header, or take the delimiter from the end of each row. "
    )
