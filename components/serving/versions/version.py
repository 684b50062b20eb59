"""One version as it lies on the disk: what made it, how large it is, whether its bytes are still those pushed.

The number of a new version is the time of its push, or the live number plus one where that is larger.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import manifest, model_versions
from taxiway.components.serving.versions.candidates.candidate import Candidate

T = TypeVar("T")
AHEAD_SECONDS = 3600
"""A version's number is the time of its push; one that is further in the future was not given by a push here."""


@dataclass(frozen=True)
class Version:
    """One version as it lies on the disk.

    Attributes:
        number: Number that TensorFlow Serving reads in the folder's name.
        path: The folder.
        live: Whether it is the highest number.
        labels: Labels that name it.
        digest: Digest of the model, from the manifest; empty where another program made the version.
        total_bytes: Size on disk of the files that the manifest lists, or of all.
        pushed_at: Seconds since 1970.
        provenance: The content of `assets.extra/provenance.json`; empty where there is none.
        candidate: How it is tried beside the live one; None where it is no candidate.
        quarantine: Entry of its model in the quarantine, `{"version", "reason", "time"}`; None where no rollback took
            the model back.
        problem: Why its manifest or provenance cannot be read, which is then taken as missing; empty where both can.
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
    candidate: Candidate | None = None
    problem: str = ""


def read_version(number: int, path: Path, live: bool, labels: Mapping[str, int]) -> Version:
    """Looks at a version's folder. What is damaged in it, or of a newer Taxiway, is said in `problem`."""
    stored, manifest_problem = _read_or_explain(manifest.read_manifest, path)
    provenance, provenance_problem = _read_or_explain(manifest.read_provenance, path)
    provenance, problem = provenance or {}, manifest_problem or provenance_problem
    names = tuple(sorted(label for label, labelled in labels.items() if labelled == number))
    digest, size = (stored.digest, stored.total_bytes) if stored else ("", _sum_sizes(path))
    pushed_at = _read_push_time(path, provenance)
    return Version(number, path, live, names, digest, size, pushed_at, provenance, problem=problem)


def _read_or_explain(read: Callable[[Path], T], path: Path) -> tuple[T | None, str]:
    """What a file of a version holds, and why it cannot be read: neither the list nor a rollback fails by it."""
    try:
        return read(path), ""
    except (ServingError, OSError) as error:
        return None, str(error)


def _sum_sizes(path: Path) -> int:
    return sum(child.stat().st_size for child in path.rglob("*") if child.is_file())


def _read_push_time(path: Path, provenance: Mapping[str, Any]) -> float:
    with contextlib.suppress(KeyError, ValueError, TypeError):
        return datetime.datetime.fromisoformat(provenance["pushed_at"]).timestamp()
    return path.stat().st_mtime


def get_version_digest(version: Version) -> str:
    """From the manifest; where another program made the version, from its bytes; empty where it is no model."""
    if version.digest:
        return version.digest
    try:
        return manifest.digest_folder(version.path)
    except ServingError:
        return ""


def find_changes(version: Version) -> list[str]:
    """What is not as it was pushed, one sentence each; empty also where another program made the version."""
    stored = manifest.read_manifest(version.path)
    return manifest.find_differences(version.path, stored) if stored else []


def check_readable(version: Version) -> None:
    """Raises `ServingError` where its manifest or its provenance cannot be read."""
    if version.problem:
        raise ServingError(f"Version {version.number} is damaged: {version.problem}", "Name another version.")


def check_intact(version: Version) -> None:
    """Raises `ServingError` where a byte of it is not as it was pushed."""
    check_readable(version)
    changes = find_changes(version)
    if changes:
        raise ServingError(
            f"Version {version.number} was changed after its push: {'; '.join(changes[:5])}.",
            "Its bytes are not published again. Name another version.",
        )


def check_number_left(base: Path) -> int:
    """The live number, 0 where nothing is live; a new version's must be higher.

    Raises:
        ServingError: No higher number is left that TensorFlow Serving would read.
    """
    live = model_versions.find_live_version(base)
    if live and live[0] >= model_versions.MAX_VERSION:
        raise ServingError(
            f"{live[1]} has the highest number that TensorFlow Serving reads; a new version needs a higher one.",
            f"No push of Taxiway made it. Move it out of {base}; the highest number that stays is then live.",
        )
    return live[0] if live else 0


def explain_future_number(number: int, now: float) -> str:
    """A sentence where a number is no time up to now; empty where it is one."""
    if number <= now + AHEAD_SECONDS:
        return ""
    return f"Version {number} is no time of a push up to now: its folder was made by hand, or with another clock."


def format_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
