"""The fingerprint of the data's content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from taxiway.components.errors import DataError
from taxiway.components.files.digests import hash_stream
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.sources.open_files import open_binary, translate_store_errors


@dataclass(frozen=True)
class DataFingerprint:
    """The content of the data: the same digest means the same rows, whatever the files' names, order and times."""

    digest: str
    span: int
    files: int
    size_bytes: int


def fingerprint_files(data: TableConfig) -> DataFingerprint:
    """Digest of the content of the files that `data` means.

    It reads every byte: size and modification time say nothing about a file written again within a second. Names and
    times do not count, so that a moved or touched file is the same data.

    Raises:
        DataError: as `select_source_files`.
    """
    files = select_source_files(data)
    paths = sorted({file.path for file in files})
    digests, size = [], 0
    for path in paths:
        digest, length = _hash_file(path)
        digests.append(f"{files[0].format} {digest}")
        size += length
    whole = hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
    return DataFingerprint(whole[:32], max(file.span for file in files), len(paths), size)


def _hash_file(path: str) -> tuple[str, int]:
    try:
        with translate_store_errors(path), open_binary(path) as file:
            return hash_stream(file)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its rights."
        ) from error
