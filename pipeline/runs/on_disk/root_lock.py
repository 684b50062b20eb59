"""The root of a run: made ready, then locked until everything that the run started has ended.

The lock is the system's lock on an open file (`flock`), which belongs to the open file, not to a process. The children
of a run keep that file open, so a run that is killed holds the root until its last child has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.components.files import patterns
from taxiway.components.processes import subprocesses
from taxiway.components.tables.sources.find_paths import ROOT_MARK
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store.store_file import check_store

LOCK_FILE = ROOT_MARK


def prepare_root(root: Root) -> Root:
    """Makes the root's folders.

    Raises:
        UsageError: It cannot be written, or TensorFlow could not read a model back from there.
        StoreError: Its `metadata.db` is damaged or of another program.
    """
    odd = [character for character in patterns.UNREADABLE if character in str(root.path)]
    if odd:
        raise UsageError(
            f"The path of the root {root.path} holds {' and '.join(odd)}, which TensorFlow takes for a pattern: "
            "neither it nor TensorFlow Serving could load a model from there.",
            "Give another folder with --root.",
        )
    try:
        for folder in (root.path, root.runs, root.artifacts):
            folder.mkdir(parents=True, exist_ok=True)
        probe = root.path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"The root {root.path} cannot be written: {error.strerror or error}.", "Give another folder with --root."
        ) from error
    check_store(root)
    return root


@contextlib.contextmanager
def hold_lock(root: Root, wait: bool) -> Iterator[None]:
    """Holds the root's lock. The system lets go of it when this process and its children have ended.

    Raises:
        TaxiwayError: Another run holds it and `wait` is False.
    """
    descriptor = os.open(root.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take_lock(descriptor, root.path, wait)
        with subprocesses.share_open_file(descriptor):
            yield
    finally:
        os.close(descriptor)


def _take_lock(descriptor: int, place: Path, wait: bool) -> None:
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
