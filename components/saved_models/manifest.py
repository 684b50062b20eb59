"""The manifest of a servable: the sha256 of every file, and one digest for the model.

The digest leaves `assets.extra/` out, where warm-up requests and provenance lie: the same model pushed twice has the
same digest. It is what this prints inside the folder: `find . -type f ! -path './assets.extra/*' | cut -c3- | LC_ALL=C
sort | xargs sha256sum | sha256sum`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import ServingError
from taxiway.components.files import durable_files
from taxiway.components.files.digests import hash_file

EXTRA = "assets.extra"
MANIFEST_FILE = f"{EXTRA}/manifest.json"
PROVENANCE_FILE = f"{EXTRA}/provenance.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """Every file of a servable but the manifest itself: relative path to (sha256, bytes)."""

    entries: Mapping[str, tuple[str, int]]

    @property
    def digest(self) -> str:
        """The model's digest, `sha256:...`, over all files outside `assets.extra/`."""
        return compute_digest({name: sha for name, (sha, _) in self.entries.items()})

    @property
    def total_bytes(self) -> int:
        """Size of the servable's files on disk, without the manifest."""
        return sum(size for _, size in self.entries.values())

    def to_json(self) -> bytes:
        listed = {name: {"sha256": sha, "bytes": size} for name, (sha, size) in sorted(self.entries.items())}
        return _encode_json({"version": FORMAT_VERSION, "digest": self.digest, "files": listed})


def compute_digest(sha256_by_name: Mapping[str, str]) -> str:
    """Digest of a model from the digests of its files."""
    lines = (f"{sha}  {name}\n" for name, sha in sorted(sha256_by_name.items()) if not is_extra(name))
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def is_extra(name: str) -> bool:
    """Whether a relative path lies in `assets.extra/`, which is no part of the model."""
    return name.startswith(EXTRA + "/")


def digest_folder(folder: str | Path) -> str:
    """Digest of the SavedModel in a folder, read from its bytes.

    Raises:
        ServingError: There is no `saved_model.pb`, or something that is not a regular file.
    """
    folder = Path(folder)
    if not (folder / "saved_model.pb").is_file():
        raise ServingError(f"{folder} holds no saved_model.pb.", "Give the folder of a TensorFlow SavedModel.")
    return compute_digest(
        {name: hash_file(folder / name) for name in durable_files.list_files(folder) if not is_extra(name)}
    )


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest that a push left, or None where another program made the folder.

    Raises:
        ServingError: There is one, but this version of Taxiway cannot read it.
    """
    content = _read_bytes(folder / MANIFEST_FILE)
    return parse_manifest(content, str(folder / MANIFEST_FILE)) if content is not None else None


def parse_manifest(content: bytes, where: str) -> Manifest:
    """A manifest from its bytes.

    Args:
        content: Bytes that `Manifest.to_json` wrote.
        where: Its path or URL, for the message.

    Raises:
        ServingError: It is damaged, or a newer Taxiway wrote it.
    """
    stored = _parse_versioned(content, where, _DAMAGED)
    try:
        return Manifest({str(name): (str(e["sha256"]), int(e["bytes"])) for name, e in stored["files"].items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise ServingError(f"{where} is no manifest: {error!r}.", _DAMAGED) from error


def find_differences(folder: Path, manifest: Manifest) -> list[str]:
    """What in the folder is not as the manifest says, one sentence each, reading every byte."""
    present = {name for name in durable_files.list_files(folder) if name != MANIFEST_FILE}
    differences = [f"{name} is missing" for name in sorted(manifest.entries.keys() - present)]
    differences += [f"{name} is not in the manifest" for name in sorted(present - manifest.entries.keys())]
    for name in sorted(present & manifest.entries.keys()):
        if hash_file(folder / name) != manifest.entries[name][0]:
            differences.append(f"{name} has other bytes than the manifest says")
    return differences


_DAMAGED = "The folder was changed after the push. Roll back to another version, or push again."


def read_versioned_json(path: Path, remedy: str = _DAMAGED) -> dict[str, Any] | None:
    """A versioned JSON file of ours, or None where it is not there.

    Args:
        path: The file.
        remedy: What helps where it is damaged; by default of a file of a version.

    Raises:
        ServingError: It is damaged, or a newer Taxiway wrote it.
    """
    content = _read_bytes(path)
    return _parse_versioned(content, str(path), remedy) if content is not None else None


def read_provenance(folder: str | Path) -> dict[str, Any]:
    """Where the model in a folder comes from, as its push wrote it; empty where no push of ours made the folder.

    Raises:
        ServingError: The file is damaged, or a newer Taxiway wrote it.
    """
    return read_versioned_json(Path(folder, PROVENANCE_FILE)) or {}


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _parse_versioned(content: bytes, where: str, remedy: str) -> dict[str, Any]:
    try:
        stored = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ServingError(f"{where} is not JSON: {error}.", remedy) from error
    if not isinstance(stored, dict) or not isinstance(stored.get("version"), int):
        raise ServingError(f"{where} has no format version.", remedy)
    if stored["version"] > FORMAT_VERSION:
        raise ServingError(
            f"{where} has format version {stored['version']}; this Taxiway reads up to {FORMAT_VERSION}.",
            "Use the Taxiway that wrote it, or a newer one.",
        )
    return stored


def _encode_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, sort_keys=False) + "\n").encode()


def dump_versioned_json(content: Mapping[str, Any]) -> bytes:
    """A versioned JSON file of ours as bytes."""
    return _encode_json({"version": FORMAT_VERSION, **content})
