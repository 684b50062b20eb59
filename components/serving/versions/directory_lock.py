"""The lock of a serving directory: one process at a time changes it, and begins by removing what a killed one left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from taxiway.components.errors import ServingError
from taxiway.components.files import durable_files
from taxiway.components.serving.versions.staging import explain_os_errors

OWN_FOLDER, STAGING, TRASH = ".taxiway", "staging", "trash"


@contextlib.contextmanager
def hold_directory_lock(base: Path, timeout_seconds: float) -> Iterator[None]:
    """Holds the lock; what the file system refuses inside becomes a `ServingError`.

    Raises:
        ServingError: Another process holds the lock for longer than `timeout_seconds`.
    """
    with explain_os_errors(base):
        durable_files.make_folder(base / OWN_FOLDER)
        lock = _acquire_lock(base / OWN_FOLDER / "lock", timeout_seconds)
        try:
            durable_files.remove_tree(base / OWN_FOLDER / STAGING)
            durable_files.remove_tree(base / OWN_FOLDER / TRASH)
            yield
        finally:
            lock.release()


def _acquire_lock(file: Path, timeout_seconds: float) -> filelock.BaseFileLock:
    lock = filelock.FileLock(file, timeout=timeout_seconds)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise ServingError(
            f"Another push has held {file} for {timeout_seconds:g} s.",
            "Wait for it to end. The lock ends with its process; the file itself means nothing.",
        ) from error
    return lock
