"""How a file is written: its format, its compression, and the files inside an archive."""

from __future__ import annotations

import contextlib
import gzip
import zipfile
import zlib
from pathlib import Path
from typing import IO, cast

from taxiway.components.errors import DataError
from taxiway.components.extensions import list_extensions
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.sources import file_format
from taxiway.components.tables.sources.open_files import open_archive, open_binary
from taxiway.components.tables.sources.source_file import SourceFile

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}
COMPRESSIONS = {".gz": "gzip", ".zip": "zip"}
_MAGIC = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}


def has_known_suffix(path: str) -> bool:
    suffixes = [s.lower() for s in Path(path).suffixes]
    return any(suffix in FORMATS or suffix == ".zip" or _find_added_format(suffix) for suffix in suffixes[-2:])


def inspect_file(path: str, data: TableConfig, span: int) -> SourceFile:
    """Format by configuration, name or content; compression by the first bytes, because names lie."""
    compression = _detect_compression(path)
    suffixes = [s.lower() for s in Path(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        _check_compression(path, suffixes.pop(), compression)
    suffix = suffixes[-1] if suffixes else ""
    file_format_name = data.format if data.format != "auto" else FORMATS.get(suffix) or _find_added_format(suffix)
    if file_format_name and file_format_name not in FORMATS.values():  # its reader knows how such files begin
        return SourceFile(path, file_format_name, compression, span)
    start = b"" if compression == "zip" else _read_decompressed_start(path, compression)
    _refuse_foreign(file_format.detect_foreign_file(start, path, is_configured=data.format != "auto"), path)
    if file_format_name is None and compression != "zip":
        file_format_name = file_format.detect_format(start)
    if file_format_name == "":
        raise DataError(
            f"{path}: neither its name nor its content says which format the file has.",
            "Set data.format (init --format) to csv, parquet, jsonl or tfrecord, or use one of the endings "
            f"{', '.join(FORMATS)} (and .gz or .zip after them).",
        )
    return SourceFile(path, file_format_name or "csv", compression, span)


def _find_added_format(suffix: str) -> str | None:
    """The format of another package whose name is the ending."""
    name = suffix.removeprefix(".")
    return name if name in list_extensions("taxiway.readers") else None


def _read_decompressed_start(path: str, compression: str) -> bytes:
    with contextlib.suppress(OSError, EOFError, zlib.error), open_binary(path) as raw:
        if compression != "gzip":
            return file_format.read_start(raw)
        with gzip.open(raw) as stream:
            return file_format.read_start(cast(IO[bytes], stream))
    return b""


def _refuse_foreign(foreign: tuple[str, str] | None, path: str) -> None:
    if foreign:
        raise DataError(f"{path} is {foreign[0]}: Taxiway reads csv, Parquet, JSON and TFRecord.", foreign[1])


def _detect_compression(path: str) -> str:
    try:
        with open_binary(path) as file:
            start = file.read(4)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its rights."
        ) from error
    if not start:
        raise DataError(f"{path} is empty.", "Give a file with rows, or take it out of data.path.")
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")


def _check_compression(path: str, suffix: str, compression: str) -> None:
    expected = COMPRESSIONS[suffix]
    if expected != compression:
        raise DataError(
            f"{path} is named {suffix} but is {f'a {compression} file' if compression else f'not a {expected} file'}.",
            "Rename it after what it is, or make it again: it may be damaged or half downloaded.",
        )


def list_members(file: SourceFile) -> list[SourceFile]:
    """The files of rows inside a zip archive; other files are themselves."""
    if file.compression != "zip":
        return [file]
    try:
        archive = open_archive(file.path)
        document = file_format.detect_foreign_archive(archive)
        infos = [i for i in archive.infolist() if not i.is_dir() and not _is_hidden(i.filename)]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError(f"{file.path} is not a readable zip archive: {error}.", "Make it again.") from error
    _refuse_foreign(document, file.path)
    if any(info.flag_bits & 1 for info in infos):
        raise DataError(f"{file.path} is encrypted.", "Give an archive without a password.")
    named = [i.filename for i in infos if FORMATS.get(Path(i.filename).suffix.lower()) == file.format]
    names = sorted(named or [i.filename for i in infos])
    if not names:
        raise DataError(f"{file.path} holds no files.", "Give an archive with at least one file of rows.")
    return [SourceFile(file.path, file.format, "zip", file.span, name) for name in names]


def _is_hidden(name: str) -> bool:
    return any(part[:1] in "._" and part != ".." for part in Path(name).parts)
