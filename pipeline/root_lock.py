"""The root's lock: one run at a time, and as long as anything that a run started still writes.

It is the system's lock on an open file (`flock`), which belongs to the open file, not to a process. The children of a
run keep that file open, so a run that is killed holds the root until its last child has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from components import subprocesses
from components.errors import TaxiwayError
from components.tables.files import ROOT_MARK
from pipeline.layout import Root

LOCK_FILE = ROOT_MARK


@contextlib.contextmanager
def hold(root: Root, wait: bool) -> Iterator[None]:
    """Holds the root's lock. The system lets go of it when this process and its children have ended.

    Raises:
        TaxiwayError: Another run holds it and `wait` is False.
    """
    descriptor = os.open(root.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor, root.path, wait)
        with subprocesses.keeping_open(descriptor):
            yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, place: Path, wait: bool) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise TaxiwayError(
                f"Another run holds the root {place}, or a child of one that was killed still writes there.",
                "Wait for its end, leave out --no-wait, or give another --root.",
            ) from None
        print(f"Another run holds the root {place}: waiting for its end.", file=sys.stderr, flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
