"""One version as it lies on the disk: what made it, how large it is, whether its bytes are still those pushed."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.errors import ServingError
from components.serving import manifest
from components.serving.manifest import PROVENANCE_FILE


@dataclass(frozen=True)
class Version:
    """One version as it lies on the disk.

    Attributes:
        number: As TensorFlow Serving reads the folder's name.
        path: The folder.
        live: It is the highest number.
        labels: Labels that name it.
        digest: Of the model, from the manifest; empty where another program made the version.
        total_bytes: Size on disk of the files that the manifest lists, or of all.
        pushed_at: Seconds since 1970.
        provenance: The content of `assets.extra/provenance.json`; empty where there is none.
        quarantine: Of its model, wherever it stands: `{"version", "reason", "time"}`; None where no rollback took it
            back.
    """

    number: int
    path: Path
    live: bool
    labels: tuple[str, ...]
    digest: str
    total_bytes: int
    pushed_at: float
    provenance: Mapping[str, Any] = field(default_factory=dict)
    quarantine: Mapping[str, Any] | None = None


def describe(number: int, path: Path, live: bool, labels: Mapping[str, int]) -> Version:
    """Looks at a version's folder.

    Raises:
        ServingError: Its manifest or provenance is damaged, or of a newer Taxiway.
    """
    stored = manifest.read_manifest(path)
    provenance = manifest.read_json(path / PROVENANCE_FILE) or {}
    names = tuple(sorted(label for label, labelled in labels.items() if labelled == number))
    digest, size = (stored.digest, stored.total_bytes) if stored else ("", _size(path))
    return Version(number, path, live, names, digest, size, _pushed_at(path, provenance), provenance)


def _size(path: Path) -> int:
    return sum(child.stat().st_size for child in path.rglob("*") if child.is_file())


def _pushed_at(path: Path, provenance: Mapping[str, Any]) -> float:
    with contextlib.suppress(KeyError, ValueError, TypeError):
        return datetime.datetime.fromisoformat(provenance["pushed_at"]).timestamp()
    return path.stat().st_mtime


def digest_of(version: Version) -> str:
    """From the manifest; where another program made the version, from its bytes; empty where it is no model."""
    if version.digest:
        return version.digest
    try:
        return manifest.digest_folder(version.path)
    except ServingError:
        return ""


def is_damaged(version: Version) -> bool:
    """Whether a byte of it is not as it was pushed."""
    stored = manifest.read_manifest(version.path)
    return stored is not None and bool(manifest.differences(version.path, stored))


def check_intact(version: Version) -> None:
    """Raises `ServingError` where a byte of it is not as it was pushed."""
    stored = manifest.read_manifest(version.path)
    changes = manifest.differences(version.path, stored) if stored else []
    if changes:
        raise ServingError(
            f"Version {version.number} was changed after its push: {'; '.join(changes[:5])}.",
            "Its bytes are not published again. Name another version.",
        )
