"""TFRecord files that grow to a size or an age, are then closed under their final names, and are bounded in number."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import tensorflow as tf

from taxiway.components.files.tfrecord_files import CUT, NO_RECORD, count_whole_records, is_gzip
from taxiway.components.serving.config import RequestLogConfig
from taxiway.components.serving.request_log.file_names import FILE_NAME, OPEN_SUFFIX, SUFFIX, list_files

LOG = logging.getLogger(__name__)
MOST_BYTES = 1 << 28
"""A request and its answer are smaller; a gzip of a megabyte may hold a record of gigabytes."""


class RecordFiles:
    """The files of one server in one folder. Not for several threads.

    A reader sees whole files only: the one that grows has another suffix. A name is the UTC time of the first record,
    the host and the process's number, so that names sort by time and servers do not meet. Other files of the folder are
    left alone.
    """

    def __init__(self, folder: Path, config: RequestLogConfig, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._config, self._clock = folder, config, clock
        self._writer: tf.io.TFRecordWriter | None = None
        self._path = folder
        self._opened_at, self._bytes = 0.0, 0
        folder.mkdir(parents=True, exist_ok=True)
        recover_files(folder)
        self._remove_old()

    def write(self, record: bytes) -> None:
        """Adds a record."""
        self._writer = self._writer or self._open_file()
        self._writer.write(record)
        self._bytes += len(record) + 16  # length, two checksums
        if self._bytes >= self._config.file_mb * 1e6:
            self.close()

    def close_if_old(self) -> None:
        """Closes the file where it has reached its age; what it holds can be read from then on."""
        if self._writer is not None and self._clock() - self._opened_at >= self._config.file_minutes * 60:
            self.close()
        elif self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Closes the file that grows."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        self._path.rename(_make_final(self._path))
        self._remove_old()

    def _open_file(self) -> tf.io.TFRecordWriter:
        self._opened_at, self._bytes = self._clock(), 0
        when = datetime.datetime.fromtimestamp(self._opened_at, datetime.UTC)
        self._path = self._folder / f"{when:%Y%m%dT%H%M%S.%fZ}-{socket.gethostname()}-{os.getpid()}{OPEN_SUFFIX}"
        return tf.io.TFRecordWriter(str(self._path))

    def _remove_old(self) -> None:
        for path in list_files(self._folder)[: -self._config.files_kept]:
            path.unlink(missing_ok=True)


def recover_files(folder: Path) -> None:
    """Closes files that an ended server of this host left open: without the part of a record that they end with.

    A file that cannot be read, or not to its end, is closed as it is: nothing of it is lost, and its readers say why.
    """
    for path in filter(_is_left_open, folder.glob(f"*{OPEN_SUFFIX}")):
        with contextlib.suppress(FileNotFoundError):  # another server of this host recovers it, too
            _recover_file(path)


def _recover_file(path: Path) -> None:
    damage: list[str] = []
    records = list(read_whole_records(path, damage.append))
    if damage:
        path.rename(_make_final(path))
        LOG.warning("%s was left open, and is closed as it is: %s", path, damage[0])
        return
    LOG.warning("%s was left open: %d records of it are kept", path, len(records))
    if not records:
        path.unlink()
        return
    whole = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with tf.io.TFRecordWriter(str(whole)) as writer:
            for record in records:
                writer.write(record)
        whole.replace(path)  # never two files with the same records under names that are read
    finally:
        whole.unlink(missing_ok=True)
    path.rename(_make_final(path))


def _is_left_open(path: Path) -> bool:
    """Of another host nobody here can tell whether its server runs."""
    name = FILE_NAME.fullmatch(path.name)
    if name is None or name["host"] != socket.gethostname() or not path.is_file():
        return False
    return not psutil.pid_exists(int(name["process"]))


def read_whole_records(path: Path, tell_damage: Callable[[str], None] = lambda _: None) -> Iterator[bytes]:
    """The records of a file, gzip or not, up to the first that is damaged or not whole.

    Args:
        path: The file.
        tell_damage: Function that is told why the rest cannot be read. A file that its server still writes may end in
            the middle of a record, which is no damage.

    Raises:
        FileNotFoundError: It is gone.
    """
    read = 0
    try:
        whole, ending = count_whole_records(path, MOST_BYTES)
        compression = "GZIP" if is_gzip(path) else ""
        for record in tf.data.TFRecordDataset(str(path), compression).take(whole).as_numpy_iterator():
            yield record
            read += 1
    except (tf.errors.NotFoundError, FileNotFoundError) as error:  # rotated away this very moment
        raise FileNotFoundError(str(path)) from error
    except (tf.errors.OpError, OSError) as error:
        ending = _explain_error(error, read)
    if ending and not (path.name.endswith(OPEN_SUFFIX) and ending in (CUT, NO_RECORD)):
        tell_damage(f"{ending}; {read:,} records of it were read")


def _explain_error(error: Exception, read: int) -> str:
    if isinstance(error, tf.errors.DataLossError):
        return f"its record {read + 1:,} is damaged (wrong checksum)"
    return f"it cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"


def _make_final(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(OPEN_SUFFIX) + SUFFIX)
