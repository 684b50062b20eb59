"""Whether the files of an artifact are still what its component wrote.

TFX's cache asks only whether an artifact's folder exists. So every artifact is sealed when its node ends: a digest of
its files goes into ML Metadata. Before a run, artifacts whose files are gone, emptied or changed are set aside, and a
cache hit on them becomes a miss.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

DIGEST_PROPERTY = "taxiway_digest"
STAT_PROPERTY = "taxiway_stat"
DAMAGE_PROPERTY = "taxiway_damage"


@dataclass(frozen=True)
class Damage:
    """An artifact that is no longer what was written.

    Attributes:
        artifact_id: In ML Metadata.
        uri: Where it was.
        what: `gone`, `emptied` or `changed`.
    """

    artifact_id: int
    uri: str
    what: str


def seal(store: Any, execution_id: int) -> None:
    """Records the digests of what an execution wrote. `store` is an `ml_metadata.MetadataStore`."""
    sealed = []
    for artifact in _outputs(store, execution_id):
        if artifact.uri and DIGEST_PROPERTY not in artifact.custom_properties and Path(artifact.uri).is_dir():
            artifact.custom_properties[DIGEST_PROPERTY].string_value = content_digest(Path(artifact.uri))
            artifact.custom_properties[STAT_PROPERTY].string_value = stat_digest(Path(artifact.uri))
            sealed.append(artifact)
    if sealed:
        store.put_artifacts(sealed)


def set_aside_damaged(store: Any) -> list[Damage]:
    """Finds sealed artifacts that are damaged, moves what is left of them aside, and marks them deleted."""
    damages = []
    for artifact in store.get_artifacts():
        if artifact.state == mlmd.Artifact.LIVE and DIGEST_PROPERTY in artifact.custom_properties:
            what = _damage(artifact)
            if what:
                damages.append(Damage(artifact.id, artifact.uri, what))
                _set_aside(store, artifact, what)
    return damages


def content_digest(folder: Path) -> str:
    """sha256 over the names and contents of all files below `folder`."""
    digest = hashlib.sha256()
    for path in _files(folder):
        with path.open("rb") as source:
            content = _digest_of(source)
        digest.update(f"{path.relative_to(folder)}\0{content.hexdigest()}\n".encode())
    return digest.hexdigest()


def stat_digest(folder: Path) -> str:
    """sha256 over names, sizes and times: where it is equal no ordinary program has changed a file; it reads none."""
    digest = hashlib.sha256()
    for path in _files(folder):
        stat = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\n".encode())
    return digest.hexdigest()


def _digest_of(source: Any) -> Any:
    digest = hashlib.sha256()
    while block := source.read(1 << 20):
        digest.update(block)
    return digest


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(names))


def _damage(artifact: mlmd.Artifact) -> str:
    folder = Path(artifact.uri)
    if not folder.is_dir():
        return "gone"
    if stat_digest(folder) == artifact.custom_properties[STAT_PROPERTY].string_value:
        return ""
    if content_digest(folder) == artifact.custom_properties[DIGEST_PROPERTY].string_value:
        return ""
    return "changed" if any(_files(folder)) else "emptied"


def _set_aside(store: Any, artifact: mlmd.Artifact, what: str) -> None:
    folder = Path(artifact.uri)
    if folder.is_dir():  # its absence is what TFX's own cache look-up understands
        folder.rename(folder.with_name(f"{folder.name}.damaged-{artifact.id}"))
    artifact.state = mlmd.Artifact.DELETED
    artifact.custom_properties[DAMAGE_PROPERTY].string_value = what
    store.put_artifacts([artifact])


def _outputs(store: Any, execution_id: int) -> list[mlmd.Artifact]:
    kinds = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
    ids = [e.artifact_id for e in store.get_events_by_execution_ids([execution_id]) if e.type in kinds]
    return list(store.get_artifacts_by_id(ids)) if ids else []
