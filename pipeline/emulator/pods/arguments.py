"""The kernel's limit on one argument, which launchers and drivers run into as steps do."""

from __future__ import annotations

from collections.abc import Mapping

from taxiway.pipeline.emulator.errors import TaskFailedError

MAX_ARGUMENT_BYTES = 131_072
"""`MAX_ARG_STRLEN` of Linux, the ending zero included. The kernel says `E2BIG`: "Argument list too long"."""


def check_arguments(process: str, arguments: Mapping[str, str]) -> None:
    """Refuses what no process can be started with.

    Args:
        process: Process that gets them, for the message.
        arguments: Arguments by what they are called in the message.

    Raises:
        TaskFailedError: One is too long.
    """
    sizes = {name: len(text.encode()) + 1 for name, text in arguments.items()}
    name, size = max(sizes.items(), key=lambda item: item[1], default=("", 0))
    if size > MAX_ARGUMENT_BYTES:
        problem = f"{process}: Argument list too long: {name} has {size:,} bytes"
        raise TaskFailedError(f"{problem}; Linux starts no process with one of more than {MAX_ARGUMENT_BYTES:,}")
