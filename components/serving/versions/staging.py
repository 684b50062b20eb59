"""Copies a model to a folder that no server reads, and explains what the file system refuses."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from taxiway.components.errors import ServingError
from taxiway.components.files import durable_files
from taxiway.components.files.digests import hash_file
from taxiway.components.saved_models import manifest
from taxiway.components.saved_models.manifest import EXTRA, MANIFEST_FILE, PROVENANCE_FILE, Manifest

SIGNS_OF_A_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SIGNS_OF_NO_ACCESS = (errno.EROFS, errno.EACCES, errno.EPERM)
RECORDS_BYTES, BLOCK_BYTES = 1 << 20, 1 << 12
"""Kept free for what is written after the rename (ML Metadata, the run's summary), and a file's overhead."""
_OURS = (MANIFEST_FILE, PROVENANCE_FILE)


def stage_model(
    source: Path, staged: Path, record: Mapping[str, Any], extra_files: Mapping[str, str | Path]
) -> Manifest:
    """Copies the model, adds what belongs in `assets.extra/`, the manifest last, and syncs all of it."""
    sources = {name: source / name for name in durable_files.list_files(source)}
    sources |= {f"{EXTRA}/{name}": Path(path) for name, path in extra_files.items()}
    entries = {}
    for name, path in sorted(sources.items()):
        if name not in _OURS:
            durable_files.make_folder((staged / name).parent)
            entries[name] = durable_files.copy_file(path, staged / name)
    durable_files.make_folder(staged / EXTRA)
    content = manifest.dump_versioned_json(record)
    durable_files.write_file(staged / PROVENANCE_FILE, content)
    entries[PROVENANCE_FILE] = (hash_file(staged / PROVENANCE_FILE), len(content))
    written = Manifest(entries)
    durable_files.write_file(staged / MANIFEST_FILE, written.to_json())
    for folder, _, _ in os.walk(staged, topdown=False):
        durable_files.sync_path(Path(folder))
    return written


def check_disk_space(folder: Path, sources: Iterable[Path], free_bytes: int | None = None) -> None:
    """Checks, before anything is written, that there is room for a copy and for the records of the push.

    Args:
        folder: Folder on the disk that is to hold them.
        sources: Files and folders to be copied there.
        free_bytes: Bytes free there; None: what the system says.

    Raises:
        ServingError: There is too little.
    """
    below = [file for path in sources for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    needed = sum(file.stat().st_size + BLOCK_BYTES for file in below) + RECORDS_BYTES
    free = shutil.disk_usage(folder).free if free_bytes is None else free_bytes
    if free < needed:
        raise ServingError(
            f"The disk that holds {folder} has {free:,} bytes free; the version and the records of its push take "
            f"{needed:,}: nothing was pushed, the live version is as it was.",
            "Free some space (taxiway gc), then run again: what is done is reused.",
        )


def verify_copy(staged: Path, written: Manifest, digest: str) -> None:
    """Reads every byte of the staged copy back, before it becomes a version.

    Args:
        staged: The folder.
        written: Manifest of what was written there.
        digest: Digest of the model that was to be pushed, which is the one that the serving validator tried.

    Raises:
        ServingError: It is not that model, or not what was written.
    """
    if written.digest != digest:
        raise ServingError("The model changed while it was copied.", "Push again when nothing writes to it.")
    changes = manifest.find_differences(staged, written)
    if changes:
        raise ServingError(
            f"The staged copy is not read back as it was written: {'; '.join(changes[:5])}.",
            "Look at the disk, and whether another program writes there; then push again.",
        )


def confirm_manifest(target: Path, written: Manifest) -> None:
    """Compares the manifest alone after the rename: all bytes were read back before it."""
    if (target / MANIFEST_FILE).read_bytes() != written.to_json():
        raise ServingError(f"{target} is not what was pushed.", "Another program writes there. Push again.")


@contextlib.contextmanager
def explain_os_errors(base: Path) -> Iterator[None]:
    """Turns a full disk or a missing right into a `ServingError` whose words hold before the rename and after it."""
    try:
        yield
    except OSError as error:
        if error.errno in SIGNS_OF_A_FULL_DISK:
            raise ServingError(
                f"The disk under {base} is full. No version is there half.",
                "Free some space (taxiway gc), then push again.",
            ) from error
        if error.errno in SIGNS_OF_NO_ACCESS:
            raise ServingError(
                f"{error.filename or base} cannot be written ({error.strerror}). No version is there half.",
                "Give this user the right to write there, or choose another serving directory.",
            ) from error
        raise
