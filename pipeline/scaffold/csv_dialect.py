"""Detects from its beginning how a csv file is written: encoding, delimiter, header, and lines above the table."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from dataclasses import dataclass

from taxiway.components.tables.config import CsvConfig
from taxiway.components.tables.number_format import parse_format
from taxiway.components.tables.readers.read_errors import explain_read_errors
from taxiway.components.tables.sources.open_files import open_decompressed
from taxiway.components.tables.sources.source_file import SourceFile

_LOOKED_AT_BYTES = 1 << 18
_LOOKED_AT_ROWS = 200
_DELIMITERS = ",;\t|"
_LAST_DELIMITERS = " "
"""Delimiters to try where no other one makes columns."""
_BLOCK = 1 << 20
_NUMBERS = [
    re.compile(form.pattern) for form in map(parse_format, ("1.5", "1,234.5", "1.234,5", "$1.5", "1.5%")) if form
]
_COMMENTS = ("#", "%", "//", ";;")


@dataclass(frozen=True)
class CsvDialect:
    """The detected settings, and what was odd: pairs of a configuration's key and a sentence."""

    config: CsvConfig
    odd: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _CsvRow:
    """A row, and the number of lines before it."""

    cells: list[str]
    lines_before: int


def sniff_dialect(file: SourceFile) -> CsvDialect:
    """The settings under which most of the file's first rows have the same number of cells, more than one if possible.

    Raises:
        DataError: The file cannot be read.
    """
    with explain_read_errors(file), open_decompressed(file) as stream:
        start = stream.read(_LOOKED_AT_BYTES)
        encoding = _detect_encoding(start, stream)
    text = start.decode(encoding, "replace").removeprefix("\ufeff").replace("\0", "")
    whole = text if len(start) < _LOOKED_AT_BYTES else text[: text.rfind("\n") + 1]
    delimiter = _detect_delimiter(whole)
    rows = _read_rows(whole, delimiter)
    config = CsvConfig(delimiter=delimiter, encoding=encoding, trim=_is_padded(rows))
    odd = [("data.csv.encoding", _describe_encoding(encoding, text))] if encoding in _GUESSED else []
    if config.trim:
        odd.append(("data.csv.trim", "cells stand after a space, which is taken off, as are all spaces around cells"))
    if not rows:
        return CsvDialect(config, tuple(odd))
    first = _find_first_row(rows)
    config, said = _set_skip_lines(config, rows, first, whole)
    config, more = _set_header(config, [row.cells for row in rows[first:]])
    return CsvDialect(config, (*odd, *said, *more))


_GUESSED = ("cp1252", "latin-1", "utf-16-le", "utf-16-be")


def _detect_encoding(start: bytes, rest: io.BufferedIOBase | object) -> str:
    """UTF-8 if the whole file is; else cp1252, which has the euro sign, or Latin-1, which decodes every byte."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    half = len(start[:4096]) // 2
    if half > 8 and start[1:4096:2].count(0) > 0.7 * half:
        return "utf-16-le"
    if half > 8 and start[0:4096:2].count(0) > 0.7 * half:
        return "utf-16-be"
    is_utf8, windows = codecs.getincrementaldecoder("utf-8")(), codecs.getincrementaldecoder("cp1252")()
    fits_utf8 = fits_windows = True
    block = start
    while block and (fits_utf8 or fits_windows):
        fits_utf8 = fits_utf8 and _can_decode(is_utf8, block)
        fits_windows = fits_windows and _can_decode(windows, block)
        block = rest.read(_BLOCK)  # type: ignore[union-attr]
    if fits_utf8 or _is_mostly_utf8(start):
        return "utf-8"
    return "cp1252" if fits_windows else "latin-1"


def _describe_encoding(encoding: str, text: str) -> str:
    special = re.search(r"[^\x00-\x7f]\w{0,29}", text)
    before = text[max(0, special.start() - 29) : special.start()] if special else ""
    example = re.findall(r"\w*\Z", before)[0] + special[0] if special else ""
    return f"the text is not UTF-8: read as {encoding}" + (f", so that it says {example[:30]!r}" if example else "")


def _can_decode(decoder: codecs.IncrementalDecoder, block: bytes) -> bool:
    try:
        decoder.decode(block)
    except UnicodeDecodeError:
        return False
    return True


def _is_mostly_utf8(start: bytes) -> bool:
    """Whether valid characters of several bytes far outnumber invalid ones: then single rows are damaged."""
    text = start.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    return sum(c > "\x7f" for c in text) - damaged > 10 * damaged


def _detect_delimiter(text: str) -> str:
    best = max(_DELIMITERS, key=lambda d: _score_delimiter(_read_rows(text, d), d))
    if _score_delimiter(_read_rows(text, best), best)[0] > 0:
        return best
    last = max(_LAST_DELIMITERS, key=lambda d: _score_delimiter(_read_rows(text, d), d))
    return last if _score_delimiter(_read_rows(text, last), last)[0] > 0.95 else best


def _read_rows(text: str, delimiter: str) -> list[_CsvRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[_CsvRow] = []
    before = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_CsvRow(cells, before))
            before = reader.line_num
            if len(rows) == _LOOKED_AT_ROWS:
                break
    except csv.Error:
        return rows if len(rows) > 2 else []
    return rows


def _find_usual_width(rows: list[_CsvRow]) -> int:
    counted = Counter(len(row.cells) for row in rows)
    return max(counted, key=lambda width: (counted[width], width)) if counted else 0


def _score_delimiter(rows: list[_CsvRow], delimiter: str) -> tuple[float, bool, float, int]:
    """How well rows are cut; one column is the last resort.

    Returns:
        The share of rows of the usual width, whether the first row has it, the share of cells without another
        delimiter (a comma may be a decimal mark), the width.
    """
    width = _find_usual_width(rows)
    share = sum(len(row.cells) == width for row in rows) / max(len(rows), 1)
    if width < 2 or share < 0.5:
        return (0.0, False, 0.0, 0)
    cells = [cell for row in rows for cell in row.cells]
    clean = sum(not any(d in cell for d in ";\t|" if d != delimiter) for cell in cells) / len(cells)
    return (round(share, 1), len(rows[0].cells) == width, round(clean, 1), width)


def _is_padded(rows: list[_CsvRow]) -> bool:
    """Whether most rows have a space before each of their cells but the first: `1, a, x`."""
    padded = [row for row in rows if len(row.cells) > 1 and all(cell[:1] == " " for cell in row.cells[1:] if cell)]
    return len(padded) > 0.5 * len(rows) > 0


def _find_first_row(rows: list[_CsvRow]) -> int:
    """Which row is the first of the table: a title or comment above has another width, or is nearly empty."""
    width = _find_usual_width(rows)
    for i, row in enumerate(rows[:-1]):
        filled = _count_filled(row)
        lacks_a_name = 1 < len(row.cells) == width - 1 and any(map(is_number, rows[i + 1].cells))
        if width > 1 and len(row.cells) != width and not (lacks_a_name and not row.cells[0].startswith(_COMMENTS)):
            continue
        if width > 2 and filled <= width / 3 and _count_filled(rows[i + 1]) > filled:
            continue
        if row.cells[0].lstrip().startswith(_COMMENTS) and _is_comment(row, rows[i + 1]):
            continue
        return i
    return 0


def _count_filled(row: _CsvRow) -> int:
    return sum(bool(cell.strip()) for cell in row.cells)


def _is_comment(row: _CsvRow, following: _CsvRow) -> bool:
    """Whether a row that begins with a comment's mark is one: `# id,age` may well be the header."""
    if len(row.cells) == 1:
        return True
    looks_like_header = not any(map(is_number, row.cells)) and any(map(is_number, following.cells))
    return not looks_like_header


def _set_skip_lines(
    config: CsvConfig, rows: list[_CsvRow], first: int, text: str
) -> tuple[CsvConfig, list[tuple[str, str]]]:
    if not first:  # blank lines are skipped anyway
        return config, []
    lines = rows[first].lines_before
    skipped = [line.strip() for line in re.split(r"\r\n|\n|\r", text)[:lines]]
    shown = "; ".join(repr(line[:60]) for line in skipped[:3]) + ("; ..." if len(skipped) > 3 else "")
    what = "line above the table is" if lines == 1 else f"{lines} lines above the table are"
    finding = ("data.csv.skip_lines", f"the first {what} skipped: {shown}")
    return config.model_copy(update={"skip_lines": lines}), [finding]


def _set_header(config: CsvConfig, rows: list[list[str]]) -> tuple[CsvConfig, list[tuple[str, str]]]:
    if len(rows) < 2 or not config.header:
        return config, []
    if not _has_header(rows):
        digits = len(str(len(rows[0]) - 1))
        names = tuple(f"column_{i:0{digits}d}" for i in range(len(rows[0])))
        said = (
            f"the first row holds values, no names ({_format_cells(rows[0])}): columns are called "
            f"{names[0]} to {names[-1]}"
        )
        return config.model_copy(update={"header": False, "names": names}), [("data.csv.header", said)]
    if _has_unit_row(rows):
        said = f"the line below the header is no row, and is skipped: {_format_cells(rows[1])}"
        return config.model_copy(update={"skip_after_header": 1}), [("data.csv.skip_after_header", said)]
    return config, []


def _format_cells(cells: list[str]) -> str:
    return ", ".join(cell.strip() for cell in cells[:5])[:60] + (", ..." if len(cells) > 5 else "")


def _has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names columns: where all others hold numbers, it does not."""
    first, numeric = rows[0], _find_numeric_columns(rows[1:])
    if any(not is_number(first[i]) and first[i].strip() for i in numeric if i < len(first)):
        return True
    there = [i for i in numeric if i < len(first) and is_number(first[i])]
    return not there or _is_number_sequence(first)


def _is_number_sequence(first: list[str]) -> bool:
    """Whether the numbers in a header are names: columns counted from 0 or 1, or one for each of some years."""
    numbers = [int(cell) for cell in first if cell.strip().isdigit()]
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    return len(numbers) > 2 and len(steps) == 1 and steps != {0} and sum(map(is_number, first)) == len(numbers)


def _find_numeric_columns(rows: list[list[str]]) -> list[int]:
    """Columns in which nearly all values are numbers."""
    numeric = []
    for i in range(max(map(len, rows), default=0)):
        cells = [row[i] for row in rows if i < len(row) and row[i].strip()]
        if cells and sum(map(is_number, cells)) > 0.9 * len(cells):
            numeric.append(i)
    return numeric


def _has_unit_row(rows: list[list[str]]) -> bool:
    """Whether the second row is another header: units, for example, where the rows below hold numbers."""
    if len(rows) < 5 or len(rows[1]) != len(rows[0]):
        return False
    numeric = [i for i in _find_numeric_columns(rows[2:]) if i < len(rows[1])]
    words = [i for i in numeric if rows[1][i].strip() and not is_number(rows[1][i])]
    numbers = [i for i in numeric if is_number(rows[1][i])]
    return len(words) > 0 and not numbers and any(len(rows[1][i].strip()) > 1 or rows[1][i].isalpha() for i in words)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number in one of the usual ways of writing them."""
    text = cell.strip()
    return bool(text) and any(pattern.match(text) for pattern in _NUMBERS)
