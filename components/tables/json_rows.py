"""The objects of a JSON file: one a line, or the elements of one array. Nothing holds a whole file."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from components.errors import DataError
from components.tables.bad_rows import BadRows

_BLOCK_BYTES = 4 << 20
"""Of text read at once; also the longest line."""
_LONGEST_ELEMENT = 64 << 20
_BETWEEN = re.compile(r"[ \t\r\n,]*")


def json_rows(stream: IO[bytes], file: str, bad: BadRows) -> Iterator[dict[str, Any]]:
    """Rows as objects, in the file's order.

    Args:
        stream: The file's bytes, decompressed.
        file: How messages call it.
        bad: Takes the rows that are no objects.

    Raises:
        DataError: an array that ends too early, or one object instead of rows.
    """
    lines = _lines(stream)
    first = next((line for line in lines if line.strip().removeprefix(codecs.BOM_UTF8)), b"")
    start = first.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"["):
        yield from _elements(start, stream, file, bad)
        return
    _check_one_a_line(start, file)
    yield from _object_lines(first, lines, file, bad)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(_BLOCK_BYTES):
        yield line


def _check_one_a_line(first: bytes, file: str) -> None:
    """Refuses an object that is written over several lines, or that holds the rows as one of its values."""
    text = first.strip()
    if text == b"{" or (text.startswith(b"{") and text.endswith((b",", b"{", b"[", b":"))):
        raise _one_object(file, "written over several lines")
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return
    lists = [name for name, value in row.items() if _is_rows(value)] if isinstance(row, dict) else []
    if isinstance(row, dict) and row and all(isinstance(value, (list, dict)) for value in row.values()) and not lists:
        raise DataError(
            f"{file} begins with one JSON object of columns, not of one row.",
            f'python -c \'import pandas; pandas.read_json("{file}").to_csv("rows.csv", index=False)\' writes its rows.',
        )
    if lists:
        raise _one_object(file, f"whose value {lists[0]!r} is an array of objects", lists[0])


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(each, dict) for each in value)


def _one_object(file: str, how: str, key: str = "KEY") -> DataError:
    return DataError(
        f"{file} begins with one JSON object {how}.",
        "Accepted are one object a line, and one array of objects. Where the rows are an array inside the object: "
        f'python -c \'import json; print(json.dumps(json.load(open("{file}"))["{key}"]))\' > rows.json',
    )


def _object_lines(first: bytes, others: Iterator[bytes], file: str, bad: BadRows) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_chain(first, others), 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
        if not text:
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            bad.add(file, number, f"no JSON ({error})", text)
            continue
        if isinstance(row, dict) and "\ufffd" not in text:
            yield row
        else:
            bad.add(file, number, "not UTF-8" if isinstance(row, dict) else "no JSON object", text)


def _chain(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def _elements(start: bytes, stream: IO[bytes], file: str, bad: BadRows) -> Iterator[dict[str, Any]]:
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
            bad.add(file, number, "not UTF-8" if isinstance(element, dict) else "no JSON object", text)
