"""The objects of a JSON file: one a line, or the elements of one array. Nothing holds a whole file."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa

from taxiway.components.errors import DataError
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.column_choice import BATCH_ROWS, choose_present_columns
from taxiway.components.tables.sources.open_files import open_decompressed
from taxiway.components.tables.sources.source_file import SourceFile

_BLOCK_BYTES = 4 << 20
"""Of text read at once; also the longest line."""
_LONGEST_ELEMENT = 64 << 20
_BETWEEN = re.compile(r"[ \t\r\n,]*")


def read_json_rows(stream: IO[bytes], file: str, bad: BadRows) -> Iterator[dict[str, Any]]:
    """Rows as objects, in the file's order.

    Args:
        stream: The file's bytes, decompressed.
        file: The file's name in messages.
        bad: The collection that takes the rows that are no objects.

    Raises:
        DataError: an array that ends too early, or one object instead of rows.
    """
    lines = _read_lines(stream)
    first = next((line for line in lines if line.strip().removeprefix(codecs.BOM_UTF8)), b"")
    start = first.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"["):
        yield from _parse_array(start, stream, file, bad)
        return
    _check_object_per_line(start, file)
    yield from _parse_lines(first, lines, file, bad)


def _read_lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(_BLOCK_BYTES):
        yield line


def _check_object_per_line(first: bytes, file: str) -> None:
    """Refuses an object that is written over several lines, or that holds the rows as one of its values."""
    text = first.strip()
    if text == b"{" or (text.startswith(b"{") and text.endswith((b",", b"{", b"[", b":"))):
        raise _make_single_object_error(file, "written over several lines")
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return
    lists = [name for name, value in row.items() if _is_row_list(value)] if isinstance(row, dict) else []
    if isinstance(row, dict) and row and all(isinstance(value, (list, dict)) for value in row.values()) and not lists:
        raise DataError(
            f"{file} begins with one JSON object of columns, not of one row.",
            f'python -c \'import pandas; pandas.read_json("{file}").to_csv("rows.csv", index=False)\' writes its rows.',
        )
    if lists:
        raise _make_single_object_error(file, f"whose value {lists[0]!r} is an array of objects", lists[0])


def _is_row_list(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(each, dict) for each in value)


def _make_single_object_error(file: str, how: str, key: str = "KEY") -> DataError:
    return DataError(
        f"{file} begins with one JSON object {how}.",
        "Accepted are one object a line, and one array of objects. Where the rows are an array inside the object: "
        f'python -c \'import json; print(json.dumps(json.load(open("{file}"))["{key}"]))\' > rows.json',
    )


def _parse_lines(first: bytes, others: Iterator[bytes], file: str, bad: BadRows) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_chain_lines(first, others), 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
        if not text:
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            bad.add_row(file, number, f"no JSON ({error})", text)
            continue
        if isinstance(row, dict) and "\ufffd" not in text:
            yield row
        else:
            bad.add_row(file, number, "not UTF-8" if isinstance(row, dict) else "no JSON object", text)


def _chain_lines(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def _parse_array(start: bytes, stream: IO[bytes], file: str, bad: BadRows) -> Iterator[dict[str, Any]]:
    """The elements of an array, decoded one after the other from a buffer that is filled as needed."""
    decoder, scanner = codecs.getincrementaldecoder("utf-8")("replace"), json.JSONDecoder()
    buffer, position, ended, number = decoder.decode(start)[1:], 0, False, 0
    while True:
        position = _BETWEEN.match(buffer, position).end()  # type: ignore[union-attr]
        if buffer.startswith("]", position):
            return
        try:
            element, end = scanner.raw_decode(buffer, position)
        except (ValueError, RecursionError) as error:
            if ended or len(buffer) - position > _LONGEST_ELEMENT or isinstance(error, RecursionError):
                raise DataError(
                    f"{file}: the JSON array cannot be read after its element {number}: "
                    f"{type(error).__name__} at {buffer[position : position + 80]!r}.",
                    "Is the file whole? One JSON object a line (.jsonl) is read too, and there a bad row is only one.",
                ) from error
            block = stream.read(_BLOCK_BYTES)
            buffer, position, ended = buffer[position:] + decoder.decode(block, final=not block), 0, not block
            continue
        number += 1
        text, position = buffer[position:end], end
        if isinstance(element, dict) and "\ufffd" not in text:
            yield element
        else:
            bad.add_row(file, number, "not UTF-8" if isinstance(element, dict) else "no JSON object", text)


def read_jsonl(
    file: SourceFile, data: TableConfig, columns: tuple[str, ...] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """One JSON object a line, or one array of objects. A key that a row lacks is a missing value."""
    with open_decompressed(file) as stream:
        rows = read_json_rows(stream, file.name, bad)
        while batch := list(itertools.islice(rows, BATCH_ROWS)):
            yield convert_rows(batch, choose_present_columns(list_row_keys(batch), data, columns))


def list_row_keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of the rows, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


def convert_rows(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pa.RecordBatch:
    """Rows of Python values as a batch: those of a JSON lines file, or those given for a prediction.

    Args:
        rows: The rows: values by column.
        names: The columns of the batch; a row without one has no value there.
    """
    arrays = [_make_json_array([row.get(name) for row in rows]) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _make_json_array(values: list[Any]) -> pa.Array:
    """Values of one type, whole numbers and fractions as float, anything mixed as text."""
    types = {type(value) for value in values} - {type(None)}
    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        if types <= {int, float}:
            return pa.array(values, pa.float64() if float in types else None)
        if len(types) == 1:
            return pa.array(values)
    texts = [v if isinstance(v, str) or v is None else json.dumps(v) for v in values]
    return pa.array([None if t is None else t.encode("utf-8", "replace") for t in texts], pa.binary())
