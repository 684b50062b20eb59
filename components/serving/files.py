"""Writing that survives a crash: every file and folder is synced before anything points to it.

Each step is one call of `os`, so that a test can stop the process before and after every one of them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from components.errors import ServingError

_CHUNK = 1 << 20


def files_below(folder: Path) -> Iterator[str]:
    """Relative paths (with `/`) of the regular files below a folder, sorted.

    Raises:
        ServingError: A symlink or special file: a model that points outside itself is not what was validated.
    """
    yield from sorted(_files(folder, folder))


def _files(folder: Path, top: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _files(Path(entry.path), top)
            elif stat.S_ISREG(mode):
                yield Path(entry.path).relative_to(top).as_posix()
            else:
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
                raise ServingError(
                    f"{entry.path} is {kind}.", "A servable holds only files of its own. Export the model anew."
                )


def sha256(path: Path) -> str:
    """Digest of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def copy_file(source: Path, target: Path) -> tuple[str, int]:
    """Copies to a new file, synced, and returns the sha256 and the number of the bytes that were written."""
    digest, size = hashlib.sha256(), 0
    with open(source, "rb", buffering=0) as readable:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            while chunk := readable.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                _write_all(descriptor, chunk)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return digest.hexdigest(), size


def write_file(target: Path, content: bytes) -> None:
    """Writes a new file, synced."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(target: Path, content: bytes) -> None:
    """Puts a file with this content in the place of `target`: readers see the old one or the new one, whole."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    write_file(temporary, content)
    os.rename(temporary, target)  # noqa: PTH104 - the test counts the calls of os
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
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
        sync_folder(parent.parent)


def remove_tree(folder: Path) -> None:
    """Removes a folder and all below it, if it is there."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
