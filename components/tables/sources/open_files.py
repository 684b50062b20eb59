"""Opens files of rows: local ones, objects of object stores, other URLs that TensorFlow knows, members of archives."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from taxiway.components.errors import DataError, StoreError
from taxiway.components.files.object_stores import ObjectFolder, StoredObject, explain_store_errors, is_object_url
from taxiway.components.files.regular_files import check_regular_file
from taxiway.components.tables.config import PACKAGE_PREFIX
from taxiway.components.tables.sources.source_file import SourceFile


def is_remote(path: str) -> bool:
    """Whether the path is a URL: of an object store, or of another file system that TensorFlow opens."""
    return "://" in path and not path.startswith(PACKAGE_PREFIX)


def import_gfile() -> Any:
    from tensorflow.io import gfile  # slow to import, and needed for URLs only

    return gfile


def open_binary(path: str) -> IO[bytes]:
    """Opens a local file or a URL for reading.

    Raises:
        DataError: it is a named pipe, a device or a socket, or the object store does not give it.
    """
    if is_object_url(path):
        with translate_store_errors(path):
            return ObjectFolder(path).open_object()
    if is_remote(path):
        return cast(IO[bytes], import_gfile().GFile(path, "rb"))
    check_regular_file(path, DataError)
    return open(path, "rb")


@contextlib.contextmanager
def translate_store_errors(path: str) -> Iterator[None]:
    """An object store's errors as errors of the data; those of other files pass.

    Raises:
        DataError: The store cannot be read, or there is no such object.
    """
    if not is_object_url(path):
        yield
        return
    try:
        with explain_store_errors(path):
            yield
    except StoreError as error:
        raise DataError(error.problem, error.remedy) from error
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there: {error}.", "Check the bucket, the key and the endpoint.") from error


def describe_object(path: str) -> StoredObject:
    """Size and version of an object.

    Raises:
        DataError: See `translate_store_errors`.
    """
    folder, _, name = path.rpartition("/")
    with translate_store_errors(path):
        found = ObjectFolder(folder).list_objects(name).get(name)
        if found is None:
            raise FileNotFoundError(path)
        return found


def open_archive(path: str) -> zipfile.ZipFile:
    """A zip archive, its directory read once for all members."""
    return _open_cached_archive(path, _identify_file(path))


def _identify_file(path: str) -> tuple[int, ...]:
    if is_object_url(path):
        return (zlib.crc32(describe_object(path).version.encode()),)
    if is_remote(path):
        file_stat = import_gfile().stat(path)
        return (int(file_stat.length), int(file_stat.mtime_nsec))
    local = Path(path).stat()
    return (local.st_dev, local.st_ino, local.st_size, local.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _open_cached_archive(path: str, identity: tuple[int, ...]) -> zipfile.ZipFile:
    del identity  # of the file; another one under the same name is opened again
    check_regular_file(path, DataError)
    return zipfile.ZipFile(open_binary(path) if is_remote(path) else path)


def open_decompressed(file: SourceFile) -> IO[bytes]:
    """The file's bytes, decompressed, from its beginning to its end, whatever part is read."""
    if file.compression == "zip":
        return open_archive(file.path).open(file.member)
    raw = open_binary(file.path)
    return gzip.open(raw) if file.compression == "gzip" else raw  # type: ignore[return-value]


class _Range(io.RawIOBase):
    """A part of an open file, as a file that ends where the part does."""

    def __init__(self, stream: IO[bytes], start: int, end: int) -> None:
        super().__init__()
        stream.seek(start)
        self._stream, self._left = stream, end - start

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_part(file: SourceFile) -> IO[bytes]:
    """The bytes of the part of a file that is read, decompressed."""
    stream = open_decompressed(file)
    if file.end:
        return cast(IO[bytes], _Range(stream, file.start, file.end))
    if file.start:
        stream.seek(file.start)
    return stream
