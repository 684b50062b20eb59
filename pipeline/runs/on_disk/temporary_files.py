"""A run's temporary files: one folder under the root, its own and its children's TMPDIR.

It goes when the run ends. What a killed run left is swept by the process holding the root's lock next: a run, `gc`, or
`doctor --fix`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from taxiway.pipeline.root import Root

VARIABLE = "TMPDIR"


@contextlib.contextmanager
def use_temporary_folder(root: Root, run_id: str) -> Iterator[Path]:
    """Puts every temporary file of this process and its children below one folder of the run."""
    remove_left_overs(root)
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
        remove_left_overs(root)


def list_left_overs(root: Root) -> list[Path]:
    """The temporary files that are there now; a run that works may own them unless the caller holds the root's lock."""
    return sorted(root.temporary.glob("*"))


def remove_left_overs(root: Root) -> None:
    """Removes the temporary files. The caller holds the root's lock."""
    shutil.rmtree(root.temporary, ignore_errors=True)  # a left-over costs space, nothing else
