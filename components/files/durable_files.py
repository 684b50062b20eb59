"""Writes that survive a crash: every file and folder is synced before anything refers to it.

Each step is one call of `os`, so that a test can stop the process before and after every one of them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from taxiway.components.errors import ServingError
from taxiway.components.files.digests import BLOCK_BYTES


def list_files(folder: Path) -> Iterator[str]:
    """Relative paths (with `/`) of the regular files below a folder, sorted.

    Raises:
        ServingError: A symlink or special file: a model that points outside itself is not what was validated.
    """
    yield from sorted(_walk_files(folder, folder))


def _walk_files(folder: Path, top: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _walk_files(Path(entry.path), top)
            elif stat.S_ISREG(mode):
                yield Path(entry.path).relative_to(top).as_posix()
            else:
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
                raise ServingError(
                    f"{entry.path} is {kind}.", "A servable holds only files of its own. Export the model again."
                )


def copy_file(source: Path, target: Path) -> tuple[str, int]:
    """Copies to a new file, synced, and returns the sha256 and the number of the bytes that were written."""
    digest, size = hashlib.sha256(), 0
    with open(source, "rb", buffering=0) as readable:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            while chunk := readable.read(BLOCK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                _write_all(descriptor, chunk)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return digest.hexdigest(), size


def write_file(target: Path, content: bytes, *, sync: bool = True) -> None:
    """Writes a new file."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _write_all(descriptor, content)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(target: Path, content: bytes | str, *, sync: bool = True) -> None:
    """Puts a file with this content in the place of `target`: readers see the old one or the new one, whole.

    Args:
        target: Path of the file, in a folder that exists.
        content: Bytes, or text that becomes UTF-8.
        sync: False for files that need not survive a crash of the machine, such as answers in a temporary folder: a
            write takes 0.3 ms, a synced one 12 ms.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write_file(temporary, content.encode() if isinstance(content, str) else content, sync=sync)
        os.rename(temporary, target)  # noqa: PTH104 - the test counts the calls of os
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_path(target.parent)


def sync_path(path: Path) -> None:
    """Makes a file's bytes, or the names in a folder, last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, each synced in its parent."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        try:
            os.mkdir(parent)  # noqa: PTH102 - the test counts the calls of os
        except FileExistsError:  # another push was faster
            continue
        sync_path(parent.parent)


def remove_tree(folder: Path) -> None:
    """Removes a folder and all below it, if it is there."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
