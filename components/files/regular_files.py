"""Refuses named pipes, devices and sockets in the place of a file: reading one may block for ever or never end."""

from __future__ import annotations

import stat
from pathlib import Path

from taxiway.components.errors import UsageError

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def check_regular_file(path: str | Path, error: type[UsageError]) -> None:
    """Checks a path before it is opened: opening a named pipe would wait for its writer.

    A path that does not exist or may not be examined passes: opening it says why.

    Raises:
        UsageError: Of the class `error`, where it is neither a file nor a folder.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return
    for is_kind, words in _KINDS:
        if is_kind(mode):
            raise error(f"{path} is {words}, not a file.", "Write what it gives into a file, and name that.")
