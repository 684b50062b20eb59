"""What may be chosen about files of rows. Nothing heavy is imported here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from typing_extensions import Self

from components import patterns
from components.configuration import Section

Format = Literal["auto", "csv", "parquet", "jsonl", "tfrecord"]
COLUMN_TYPES = ("int", "float", "string", "bool", "time")

CalendarPart = Literal["month", "day", "weekday", "hour", "minute"]

SPAN_PLACEHOLDER = patterns.SPAN_PLACEHOLDER
PACKAGE_PREFIX = "package://"
_SPANS = re.compile(r"latest|all|\d+|\d+\.\.\d+")


class CsvConfig(Section):
    """How csv files are written. Other formats ignore it."""

    delimiter: str = Field(",", min_length=1, max_length=1)
    """One character between cells; `"\\t"` for a tab."""
    quote: str = Field('"', max_length=1)
    """Character around cells that hold delimiters; empty: none."""
    header: bool = True
    """The first line names the columns. Without it `names` must."""
    names: tuple[str, ...] = ()
    """The names of the columns, in order, for files without a header."""
    encoding: str = "utf-8"
    """Encoding of the text. A byte order mark is understood."""
    null_values: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None")
    """Cells that mean a missing value, quoted or not."""


class TableConfig(Section):
    """Where rows are, and how they are read: the same for training, prediction and later spans."""

    path: str = Field(min_length=1)
    """A file, a folder or a glob. `{SPAN}` stands for the number of a span; `package://PACKAGE/FILE` is a file that an
    installed Python package ships."""
    format: Format = "auto"
    """`auto` goes by the file name: .csv, .tsv, .parquet, .jsonl, .tfrecord, each also with .gz or .zip after it."""
    csv: CsvConfig = CsvConfig()
    """How csv files are written."""
    types: dict[str, str] = Field({})
    """Types of columns where the inferred ones are wrong: int, float, string, bool, time (ISO dates and times) or
    `time:FORMAT` such as `time:%m/%d/%Y`. A `time` column becomes whole seconds since 1970 (UTC)."""
    calendar: dict[str, tuple[CalendarPart, ...]] = Field({})
    """Parts of `time` columns as columns of their own: `{when: [month, weekday, hour]}` makes `when_month` (1 to 12),
    `when_weekday` (0 is Monday) and `when_hour` (UTC). A request to the served model names these columns."""
    leave_out: tuple[str, ...] = ()
    """Columns that are not written to the examples at all."""
    spans: str = "latest"
    """Which values of `{SPAN}` are read: `latest`, `all`, one number `7`, or a range `3..7`."""

    @field_validator("path")
    @classmethod
    def _path(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError("a path cannot hold a NUL character")
        return path

    @field_validator("types")
    @classmethod
    def _types(cls, types: dict[str, str]) -> dict[str, str]:
        for column, kind in types.items():
            if kind not in COLUMN_TYPES and not (kind.startswith("time:") and "%" in kind):
                raise ValueError(f"{column}: {kind!r} is none of {', '.join(COLUMN_TYPES)}, time:FORMAT")
        return types

    @field_validator("spans", mode="before")
    @classmethod
    def _spans(cls, spans: object) -> str:
        text = str(spans).replace(" ", "")
        if not _SPANS.fullmatch(text):
            raise ValueError(f"{spans!r} is none of latest, all, a number, or a range such as 3..7")
        return text

    def located(self, folder: str | Path) -> Self:
        """The same with a relative `path` taken from `folder`, usually that of the configuration file.

        The folder is a name, whatever characters it holds; only `path` may hold wildcards and `{SPAN}`.
        """
        if "://" in self.path or self.path.startswith("~") or Path(self.path).is_absolute():
            return self
        return self.model_copy(update={"path": str(Path(patterns.quote(folder)) / self.path)})
