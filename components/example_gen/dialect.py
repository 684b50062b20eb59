"""How a csv file is written: encoding, delimiter, header; guessed from its beginning."""

from __future__ import annotations

import csv
import io

from components.tables.config import CsvConfig
from components.tables.files import SourceFile
from components.tables.reading import open_rows, readable

_LOOKED_AT_BYTES = 1 << 18
_LOOKED_AT_ROWS = 100
_DELIMITERS = ",;\t|"


def sniff(file: SourceFile) -> CsvConfig:
    """The settings under which the file's first rows have the same number of cells, more than one if possible.

    Raises:
        DataError: the file cannot be read.
    """
    with readable(file), open_rows(file) as stream:
        start = stream.read(_LOOKED_AT_BYTES)
    encoding = _encoding(start)
    text = start.decode(encoding, "replace").removeprefix("\ufeff").replace("\0", "")
    whole = text if len(start) < _LOOKED_AT_BYTES else text[: text.rfind("\n") + 1]
    delimiter = max(_DELIMITERS, key=lambda d: _fit(_rows(whole, d)))
    rows = _rows(whole, delimiter)
    config = CsvConfig(delimiter=delimiter, encoding=encoding)
    if len(rows) < 2 or not _is_all_numbers(rows[0]):
        return config
    digits = len(str(len(rows[0]) - 1))
    names = tuple(f"column_{i:0{digits}d}" for i in range(len(rows[0])))
    return config.model_copy(update={"header": False, "names": names})


def _encoding(start: bytes) -> str:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        start[: max(start.rfind(b"\n"), 0) or None].decode("utf-8")
    except UnicodeDecodeError as error:
        return "utf-8" if error.start > len(start) - 4 else "latin-1"
    return "utf-8"


def _rows(text: str, delimiter: str) -> list[list[str]]:
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return [row for row, _ in zip((r for r in reader if r), range(_LOOKED_AT_ROWS), strict=False)]
    except csv.Error:
        return []


def _fit(rows: list[list[str]]) -> tuple[float, int]:
    """Share of rows as wide as the first one, then that width; a single column is the last resort."""
    width = len(rows[0]) if rows else 0
    if width < 2:
        return (0.0, 0)
    return (sum(len(row) == width for row in rows) / len(rows), width)


def _is_all_numbers(row: list[str]) -> bool:
    try:
        return bool([float(cell) for cell in row])
    except ValueError:
        return False
