"""TFRecord files as lists of records, read in pieces: a loop over bytes is faster than tf.data's iterator."""

from __future__ import annotations

import contextlib
import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from taxiway.components.errors import DataError

_LENGTH = struct.Struct("<Q")
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_PIECE_BYTES, _COUNTED_ROWS = 4 << 20, 1 << 16
_BATCH_BYTES = 32 << 20
"""Of a list, about: rows of thousands of columns come in shorter ones."""
_MOST_BYTES = 1 << 31
"""A message of protobuf is smaller; a larger length is a damaged one, and must not make us read the whole file."""
CUT, NO_RECORD = "its end is missing", "it holds no whole TFRecord"
"""A file that ends within a record, after others or none."""
NOT_TFRECORD = "it does not begin as a TFRecord file does"
"""What stands for the length of the first record is far too large for one."""
_GZIP_MAGIC = b"\x1f\x8b"
_REMEDY = "Run the component that wrote it again."


def read_records(path: str, batch_rows: int) -> Iterator[list[bytes]]:
    """The records of a TFRecord file, gzip or not: length (8 bytes), its checksum (4), the record, its checksum (4).

    Args:
        path: Path, local or a URL.
        batch_rows: Records of a list; the last one, and those of very large records, have fewer.

    Raises:
        DataError: The file is damaged. gzip's checksum covers every byte; those of the records are not looked at.
    """
    ready: list[bytes] = []
    rest, held = b"", 0
    for piece in _read_pieces(path):
        records, rest = _cut_records(rest + piece, path)
        ready, held = ready + records, held + len(piece)
        while len(ready) >= batch_rows or (ready and held >= _BATCH_BYTES):
            yield ready[:batch_rows]
            ready, held = ready[batch_rows:], 0
    if rest:
        raise DataError(f"{path} ends in the middle of a record.", _REMEDY)
    if ready:
        yield ready


def measure_records(path: str, most: int) -> list[int]:
    """Sizes in bytes of the first records, so many at most, without reading on; errors as `read_records` has them."""
    sizes: list[int] = []
    with _explain_damage(path), _open_stream(path) as stream:
        while len(sizes) < most and len(header := stream.read(_HEADER_BYTES)) == _HEADER_BYTES:
            sizes.append(_read_length(header, 0, path))
            stream.read(sizes[-1] + _FOOTER_BYTES)
    return sizes


def _read_pieces(path: str) -> Iterator[bytes]:
    with _explain_damage(path), _open_stream(path) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


@contextlib.contextmanager
def _explain_damage(path: str) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}", _REMEDY) from error


@contextlib.contextmanager
def _open_stream(path: str) -> Iterator[IO[bytes]]:
    with _open_raw(path) as raw:
        begins_as_gzip = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        yield cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if begins_as_gzip else raw


def _open_raw(path: str) -> Any:
    if "://" not in path:
        return Path(path).open("rb")
    from tensorflow.io import gfile  # slow to import, and needed for URLs only

    return gfile.GFile(path, "rb")


def count_records(path: str) -> int:
    """The number of records; see `read_records`."""
    return sum(map(len, read_records(path, _COUNTED_ROWS)))


def count_whole_records(path: Path, most_bytes: int = _MOST_BYTES) -> tuple[int, str]:
    """The whole records of a file up to the first that is not, by their lengths alone, and what ends them.

    TensorFlow's reader trusts the lengths: one of a terabyte, its checksum right, ends the process.

    Args:
        path: The file.
        most_bytes: Size above which a record is taken for damage.

    Returns:
        The number, and a reason: empty where the file ends with a whole record.

    Raises:
        OSError: It cannot be read.
    """
    whole = 0
    try:
        with _open_stream(str(path)) as stream:
            while header := stream.read(_HEADER_BYTES):
                length = _LENGTH.unpack_from(header)[0] if len(header) == _HEADER_BYTES else 0
                if length > most_bytes:
                    return whole, f"a record of {length:,} bytes is damage" if whole else NOT_TFRECORD
                if len(header) < _HEADER_BYTES or not _skip_record(stream, length):
                    return whole, CUT if whole else NO_RECORD
                whole += 1
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        return whole, f"its gzip stream is damaged ({error})"
    return whole, ""


def _skip_record(stream: IO[bytes], length: int) -> bool:
    """Whether a record and its checksum are there."""
    left = length + _FOOTER_BYTES
    while left and (piece := stream.read(min(left, _PIECE_BYTES))):
        left -= len(piece)
    return not left


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip's do, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _cut_records(content: bytes, path: str) -> tuple[list[bytes], bytes]:
    """The whole records of the content, and what follows them."""
    records, position, end = [], 0, len(content)
    while position + _HEADER_BYTES <= end:
        start = position + _HEADER_BYTES
        length = _read_length(content, position, path)
        if start + length + _FOOTER_BYTES > end:
            break
        records.append(content[start : start + length])
        position = start + length + _FOOTER_BYTES
    return records, content[position:]


def _read_length(content: bytes, position: int, path: str) -> int:
    length: int = _LENGTH.unpack_from(content, position)[0]
    if length > _MOST_BYTES:
        raise DataError(f"{path} is damaged: a record of {length:,} bytes.", _REMEDY)
    return length
