"""The names of the request log's files, by which they are found. Nothing heavy is imported here."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIX, OPEN_SUFFIX = ".tfrecord", ".tfrecord.open"
FILE_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z-(?P<host>.+)-(?P<process>\d+)\.tfrecord(\.open)?")
"""UTC time of the first record, host and process: names sort by time, and servers do not meet."""


def list_files(folder: Path) -> list[Path]:
    """The closed files of servers, oldest first."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file() and FILE_NAME.fullmatch(path.name))


def list_readable_files(folder: Path) -> list[Path]:
    """The closed files of servers and those that grow, oldest first: a reader need not wait until one is closed."""
    names = (path for path in folder.glob(f"*{SUFFIX}*") if path.is_file() and FILE_NAME.fullmatch(path.name))
    return sorted(names, key=lambda path: path.name)
