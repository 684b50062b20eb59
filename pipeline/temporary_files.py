"""A run's temporary files: one folder under the root, its own and its children's TMPDIR.

It goes when the run ends. What a killed run left is swept by whoever holds the root's lock next: a run, `gc`, or
`doctor --fix`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.layout import Root

VARIABLE = "TMPDIR"


@contextlib.contextmanager
def temporary_folder(root: Root, run_id: str) -> Iterator[Path]:
    """Everything that asks for a temporary file gets it below this folder, here and in children."""
    sweep(root)
    folder = root.temporary / run_id
    folder.mkdir(parents=True)
    before = os.environ.get(VARIABLE), tempfile.tempdir
    os.environ[VARIABLE] = tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before[1]
        os.environ.pop(VARIABLE)
        if before[0] is not None:
            os.environ[VARIABLE] = before[0]
        sweep(root)


def left_over(root: Root) -> list[Path]:
    """What is there now; the caller holds the root's lock, or a run may own it."""
    return sorted(root.temporary.glob("*"))


def sweep(root: Root) -> None:
    """Removes it. The caller holds the root's lock."""
    shutil.rmtree(root.temporary, ignore_errors=True)  # a left-over costs space, nothing else
