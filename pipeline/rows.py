"""Rows for `taxiway predict` from JSON lines, csv or parquet."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.errors import DataError

EXTRA = "\0extra"
"""No column can be called so."""
READERS = ".jsonl, .json, .csv, .tsv, .parquet"


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, by its name's end. Cells of text files stay text: the model's signature knows their types.

    Raises:
        DataError: There is no such file, or it is not what its name says.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.", f"Give rows as {READERS}, or JSON lines on standard input.")
    kind = next((suffix for suffix in reversed(path.suffixes) if suffix != ".gz"), "")
    if kind == ".parquet":
        return _read_parquet(path)
    if kind not in (".jsonl", ".json", ".csv", ".tsv"):
        raise DataError(f"{path} is of no known kind.", f"Known: {READERS}.")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
            if kind in (".jsonl", ".json"):
                return parse_json_lines(lines, str(path))
            return _parse_csv(lines, "\t" if kind == ".tsv" else ",", str(path))
    except (OSError, UnicodeDecodeError, EOFError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}", f"Known: {READERS}, each also as .gz.") from error


def parse_json_lines(lines: Iterable[str], name: str) -> list[dict[str, Any]]:
    """JSON objects, one a line.

    Raises:
        DataError: A line is no JSON object; it is named.
    """
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{name}, line {number} is no JSON: {error}", 'One object a line: {"column": value}.'
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{name}, line {number} is no JSON object.", 'One object a line: {"column": value}.')
        rows.append(row)
    return rows


def _parse_csv(lines: Iterable[str], delimiter: str, name: str) -> list[dict[str, Any]]:
    rows = []
    reader = csv.DictReader(lines, delimiter=delimiter, restkey=EXTRA)
    for row in reader:
        if EXTRA in row:
            raise DataError(f"{name}, line {reader.line_num} has more cells than the header.", "Correct the line.")
        rows.append({column: cell for column, cell in row.items() if cell not in (None, "")})
    return rows


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow

    from components.tables import arrow_files

    try:
        table = arrow_files.read_table(path, str(path))
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}", "Is it whole?") from error
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
