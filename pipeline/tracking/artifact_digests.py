"""Whether the files of an artifact are still what its component wrote.

TFX's cache asks only whether an artifact's folder exists. So a digest of each artifact's files is recorded in ML
Metadata when its node ends. Before a run, artifacts whose files are gone, emptied or changed are set aside, and a cache
hit on them becomes a miss.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from taxiway.components.files.digests import hash_file

DIGEST_PROPERTY = "taxiway_digest"
STAT_PROPERTY = "taxiway_stat"
DAMAGE_PROPERTY = "taxiway_damage"


@dataclass(frozen=True)
class DamagedArtifact:
    """An artifact that is no longer what was written.

    Attributes:
        artifact_id: Id in ML Metadata.
        uri: URI of the folder, before it was set aside.
        what: `gone`, `emptied` or `changed`.
    """

    artifact_id: int
    uri: str
    what: str


def record_digests(store: Any, execution_id: int) -> None:
    """Records the digests of what an execution wrote. `store` is an `ml_metadata.MetadataStore`."""
    sealed = []
    for artifact in _list_outputs(store, execution_id):
        if artifact.uri and DIGEST_PROPERTY not in artifact.custom_properties and Path(artifact.uri).is_dir():
            artifact.custom_properties[DIGEST_PROPERTY].string_value = compute_content_digest(Path(artifact.uri))
            artifact.custom_properties[STAT_PROPERTY].string_value = compute_stat_digest(Path(artifact.uri))
            sealed.append(artifact)
    if sealed:
        store.put_artifacts(sealed)


def set_aside_damaged(store: Any) -> list[DamagedArtifact]:
    """Finds artifacts that no longer match their digest, moves what is left of them aside, and marks them deleted."""
    damages = []
    for artifact in store.get_artifacts():
        what = find_damage(artifact) if DIGEST_PROPERTY in artifact.custom_properties else ""
        if what:
            damages.append(DamagedArtifact(artifact.id, artifact.uri, what))
            _set_aside(store, artifact, what)
    return damages


def compute_content_digest(folder: Path) -> str:
    """sha256 over the names and contents of all files below `folder`."""
    digest = hashlib.sha256()
    for path in _walk_files(folder):
        digest.update(f"{path.relative_to(folder)}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()


def compute_stat_digest(folder: Path) -> str:
    """sha256 over names, sizes and times: where it is equal no ordinary program has changed a file; it reads none."""
    digest = hashlib.sha256()
    for path in _walk_files(folder):
        stat = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\n".encode())
    return digest.hexdigest()


def _walk_files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(names))


def find_damage(artifact: mlmd.Artifact) -> str:
    """What happened to a live artifact's files since they were written.

    Returns:
        `gone`, `emptied` or `changed`; empty where they are whole, are elsewhere, or it cannot be known: of an artifact
        without a digest only the loss is seen.
    """
    if artifact.state != mlmd.Artifact.LIVE or not artifact.uri or "://" in artifact.uri:
        return ""
    folder, has_digest = Path(artifact.uri), DIGEST_PROPERTY in artifact.custom_properties
    if not (folder.is_dir() if has_digest else folder.exists()):
        return "gone"
    if not has_digest:
        return ""
    if compute_stat_digest(folder) == artifact.custom_properties[STAT_PROPERTY].string_value:
        return ""
    if compute_content_digest(folder) == artifact.custom_properties[DIGEST_PROPERTY].string_value:
        return ""
    return "changed" if any(_walk_files(folder)) else "emptied"


def _set_aside(store: Any, artifact: mlmd.Artifact, what: str) -> None:
    folder = Path(artifact.uri)
    if folder.is_dir():  # its absence is what TFX's own cache look-up understands
        folder.rename(folder.with_name(f"{folder.name}.damaged-{artifact.id}"))
    artifact.state = mlmd.Artifact.DELETED
    artifact.custom_properties[DAMAGE_PROPERTY].string_value = what
    store.put_artifacts([artifact])


def _list_outputs(store: Any, execution_id: int) -> list[mlmd.Artifact]:
    kinds = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
    ids = [e.artifact_id for e in store.get_events_by_execution_ids([execution_id]) if e.type in kinds]
    return list(store.get_artifacts_by_id(ids)) if ids else []
