"""Whether a path is a file: what is none (a named pipe, a device, a socket) may block for ever, or never end."""

from __future__ import annotations

import stat
from pathlib import Path

from components.errors import UsageError

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def check_is_file(path: str | Path, error: type[UsageError]) -> None:
    """Looks at what a path is before it is opened: opening a named pipe would wait for its writer.

    What is not there, or may not be looked at, passes: opening it says so.

    Raises:
        UsageError: of the class `error`, where it is neither a file nor a folder.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return
    for is_kind, words in _KINDS:
        if is_kind(mode):
            raise error(f"{path} is {words}, not a file.", "Write what it gives into a file, and name that.")
