"""What may be chosen about files of rows. Nothing heavy is imported here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, field_validator

from taxiway.components.config_section import Section
from taxiway.components.extensions import list_extensions
from taxiway.components.files import patterns
from taxiway.components.redaction import holds_password
from taxiway.components.tables.number_format import parse_format

Format = Literal["auto", "csv", "parquet", "jsonl", "tfrecord"]
COLUMN_TYPES = ("int", "float", "string", "bool", "time")
TIME_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Of `time:UNIT`, by second."""

CalendarPart = Literal["month", "day", "weekday", "hour", "minute"]

SPAN_PLACEHOLDER = patterns.SPAN_PLACEHOLDER
PACKAGE_PREFIX = "package://"
PASSWORD_REMEDY = (
    "Give the address without it; credentials belong into the environment, such as GOOGLE_APPLICATION_CREDENTIALS "
    "for gs:// or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://."
)
_SPANS = re.compile(r"latest|all|\d+|\d+\.\.\d+")


NULL_WORDS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""The words that `pandas.read_csv` takes as missing."""


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
    skip_lines: int = Field(0, ge=0)
    """Lines above the header, or above the first row where there is none: titles, comments."""
    skip_after_header: int = Field(0, ge=0)
    """Lines below the header that are no rows: the columns' units, a second header."""
    footer: tuple[str, ...] = ()
    """First cells of rows that are no data, such as `Total`: such rows are left out wherever they stand."""
    trim: bool = False
    """Take the spaces around every cell off, as in files written with `, ` between cells."""
    encoding: str = "utf-8"
    """Encoding of the text. A byte order mark is understood. What Windows writes in the West is cp1252."""
    null_values: tuple[str, ...] = NULL_WORDS
    """Cells that mean a missing value, quoted or not: by default the words that pandas takes so."""


class TableConfig(Section):
    """Where rows are, and how they are read: the same for training, prediction and later spans."""

    path: str = Field(min_length=1)
    """A file, a folder or a glob. `{SPAN}` stands for the number of a span; `package://PACKAGE/FILE` is a file that an
    installed Python package ships."""
    format: Format | str = "auto"
    """`auto` goes by the file name (.csv, .tsv, .parquet, .jsonl, .json, .tfrecord, each also with .gz or .zip after
    it), and by the content where the name does not tell. Another name is a format that an installed package reads
    (`taxiway.readers`); files with it as their ending have it."""
    csv: CsvConfig = CsvConfig()
    """How csv files are written."""
    types: dict[str, str] = Field({})
    """Types of columns where the inferred ones are wrong: int, float, string, bool, time (ISO dates and times). How
    text is written may follow: `time:%m/%d/%Y`, `time:ms` (also s, us, ns: counted since 1970), `float:1.234,5`,
    `int:1,234`, `float:$1,234.5`, `float:1.5%` (the sign is taken off: 12 % is 12; -1, (1) and 1- are negative). A
    `time` column becomes whole seconds since 1970 (UTC)."""
    null_values: dict[str, tuple[str, ...]] = Field({})
    """Words that mean a missing value in single columns of text, of any format, instead of `csv.null_values`:
    `{country: [""]}` where NA is Namibia, `{amount: ["", "unknown"]}`."""
    calendar: dict[str, tuple[CalendarPart, ...]] = Field({})
    """Parts of `time` columns as columns of their own: `{when: [month, weekday, hour]}` makes `when_month` (1 to 12),
    `when_weekday` (0 is Monday) and `when_hour` (UTC). A request to the served model names these columns."""
    leave_out: tuple[str, ...] = ()
    """Columns that are not written to the examples at all."""
    spans: str = "latest"
    """Which values of `{SPAN}` are read: `latest`, `all`, one number `7`, or a range `3..7`."""

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError("a path cannot hold a NUL character")
        if holds_password(path):
            raise ValueError(
                f"an address with a password or a key in it would be kept with every run. {PASSWORD_REMEDY}"
            )
        return path

    @field_validator("format")
    @classmethod
    def _check_format(cls, name: str) -> str:
        known = (*get_args(Format), *list_extensions("taxiway.readers"))
        if name not in known:
            raise ValueError(f"{name!r} is no format that is read: {', '.join(known)}")
        return name

    @field_validator("types")
    @classmethod
    def _check_types(cls, types: dict[str, str]) -> dict[str, str]:
        for column, kind in types.items():
            if kind not in COLUMN_TYPES and not _is_format(kind):
                raise ValueError(
                    f"{column}: {kind!r} is none of {', '.join(COLUMN_TYPES)}, time:FORMAT (%d.%m.%Y, s, ms, us, ns), "
                    "float:NUMBER or int:NUMBER (1234 or 1234.5 as the column would write it, such as float:1.234,5)"
                )
        return types

    @field_validator("null_values", mode="before")
    @classmethod
    def _convert_null_values(cls, words: object) -> object:
        """YAML reads `[-]` and `[NA]` as text, but 0 as a number and null as nothing."""
        if not isinstance(words, dict):
            return words
        return {
            column: [word if isinstance(word, str) else str(word) for word in null_values]
            if isinstance(null_values, (list, tuple))
            else null_values
            for column, null_values in words.items()
        }

    @field_validator("spans", mode="before")
    @classmethod
    def _check_spans(cls, spans: object) -> str:
        text = str(spans).replace(" ", "")
        if not _SPANS.fullmatch(text):
            raise ValueError(f"{spans!r} is none of latest, all, a number, or a range such as 3..7")
        return text

    def resolve_path(self, folder: str | Path) -> Self:
        """The same with a relative `path` taken from `folder`, usually that of the configuration file.

        The folder is a name, whatever characters it holds; only `path` may hold wildcards and `{SPAN}`.
        """
        if "://" in self.path or self.path.startswith("~") or Path(self.path).is_absolute():
            return self
        return self.model_copy(update={"path": str(Path(patterns.quote_name(folder)) / self.path)})


def _is_format(kind: str) -> bool:
    base, _, form = kind.partition(":")
    if base == "time":
        return form in TIME_UNITS or "%" in form
    return base in ("int", "float") and parse_format(form) is not None
