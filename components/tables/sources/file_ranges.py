"""Cuts a large file into parts that are read by themselves: csv between two rows, Parquet between two row groups.

A line end inside of quotes ends no row. So the quotes of a csv file are counted once, from its beginning; where one
stands in the middle of a cell, so that it may be text, the file is left whole.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import IO

import numpy as np

from taxiway.components.tables.config import CsvConfig
from taxiway.components.tables.readers.parquet_files import open_parquet
from taxiway.components.tables.readers.read_errors import explain_read_errors
from taxiway.components.tables.sources.open_files import open_binary
from taxiway.components.tables.sources.source_file import SourceFile

PART_BYTES = 128 << 20
"""Size of a part, about. It goes by the file alone, so that every machine cuts it alike."""
_PIECE_BYTES = 8 << 20
_ASCII_BASED = frozenset({"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"})
"""Encodings whose line ends, quotes and delimiters are one byte, and whose other characters hold none of them."""
_NEWLINE, _RETURN = ord("\n"), ord("\r")


def cut_files(files: Iterable[SourceFile], config: CsvConfig) -> list[SourceFile]:
    """The files in order, each large one that can be cut as its parts in order."""
    return [part for file in files for part in _cut_file(file, config)]


def _cut_file(file: SourceFile, config: CsvConfig) -> Sequence[SourceFile]:
    if file.compression or file.format not in ("csv", "parquet"):
        return [file]
    with explain_read_errors(file), open_binary(file.path) as stream:
        size = stream.seek(0, os.SEEK_END) or stream.tell()
        if size < 2 * PART_BYTES:
            return [file]
        stream.seek(0)
        borders = _find_row_groups(stream, file) if file.format == "parquet" else _find_rows(stream, size, config)
    ends = [*borders, 0]
    return [replace(file, start=start, end=end) for start, end in zip([0, *borders], ends, strict=True)]


def _find_row_groups(stream: IO[bytes], file: SourceFile) -> list[int]:
    """The numbers of the row groups at which parts begin, but the first."""
    metadata = open_parquet(stream, file.name).metadata
    borders, filled = [], 0
    for group in range(metadata.num_row_groups - 1):
        filled += metadata.row_group(group).total_byte_size
        if filled >= PART_BYTES:
            borders.append(group + 1)
            filled = 0
    return borders


def _find_rows(stream: IO[bytes], size: int, config: CsvConfig) -> list[int]:
    """The bytes at which parts begin, but the first; none where the file cannot be cut."""
    if not _can_cut(config):
        return []
    targets = range(PART_BYTES, size - PART_BYTES // 2, PART_BYTES)
    return find_row_starts(iter(lambda: stream.read(_PIECE_BYTES), b""), targets, config) or []


def _can_cut(config: CsvConfig) -> bool:
    encoding = codecs.lookup(config.encoding).name
    return encoding in _ASCII_BASED and config.delimiter.isascii() and config.quote.isascii()


def find_row_starts(pieces: Iterator[bytes], targets: Iterable[int], config: CsvConfig) -> list[int] | None:
    """For each target the first byte of a row behind it.

    Args:
        pieces: The file's bytes, in pieces.
        targets: Positions, in order.
        config: The characters around and between cells.

    Returns:
        Positions in order, each once; None where a quote stands in the middle of a cell.
    """
    borders: list[int] = []
    waiting = list(targets)
    before, inside, last = 0, 0, _NEWLINE
    openers = [_NEWLINE, _RETURN, ord(config.delimiter)]
    for piece in pieces:
        content = np.frombuffer(piece, np.uint8)
        quotes = np.flatnonzero(content == ord(config.quote)) if config.quote else np.zeros(0, np.int64)
        if not _open_cells(content, quotes, inside, last, [*openers, ord(config.quote or "\n")]):
            return None
        while waiting and waiting[0] < before + len(content):
            start = _find_line_end(content, quotes, inside, waiting[0] - before)
            if start is None:
                break
            if before + start not in borders:
                borders.append(before + start)
            waiting.pop(0)
        before, inside, last = before + len(content), (inside + len(quotes)) % 2, int(content[-1])
    return [border for border in borders if border < before]


def _open_cells(content: np.ndarray, quotes: np.ndarray, inside: int, last: int, openers: Sequence[int]) -> bool:
    """Whether each quote that opens a quoted cell stands at the cell's beginning, or right after the quote before it
    (two quotes inside of quotes are one)."""
    opening = quotes[inside::2]
    previous = np.where(opening > 0, content[opening - 1], last)
    return bool(np.isin(previous, openers).all())


def _find_line_end(content: np.ndarray, quotes: np.ndarray, inside: int, target: int) -> int | None:
    """The first position after a line end outside of quotes, at or behind `target`."""
    first = max(target, 0)
    newlines = first + np.flatnonzero(content[first:] == _NEWLINE)
    outside = newlines[(np.searchsorted(quotes, newlines) + inside) % 2 == 0]
    return int(outside[0]) + 1 if len(outside) else None
