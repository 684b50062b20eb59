"""`taxiway doctor --root DIR`: finds what is wrong under a root, and repairs what can be repaired safely."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.config_section import Section
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.console import printing
from taxiway.pipeline.lineage.traversal import LineageReader
from taxiway.pipeline.maintenance import gc
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.on_disk import root_lock, temporary_files
from taxiway.pipeline.tracking import artifact_digests, recovery
from taxiway.pipeline.tracking.store import metadata_store, store_file
from taxiway.pipeline.tracking.store.execution_store import FIRST_ID
from taxiway.pipeline.tracking.store.mlmd_connection import open_for_writing

Kind = Literal["artifact", "execution", "left-over", "version"]
STAGING = ".taxiway/staging"


class StoreFinding(Section):
    """One thing that is wrong under a root."""

    kind: Kind
    what: str
    """A sentence with the path or the id."""
    mends: str = ""
    """What `--fix` does about it; empty where a person must decide."""

    def to_sentence(self) -> str:
        """The finding, and what `--fix` does about it."""
        return f"{self.what} (--fix: {self.mends})" if self.mends else self.what


def examine_store(root: Root) -> list[StoreFinding]:
    """Examines everything under a root without changing it. While a run works, its open nodes are findings too.

    Raises:
        StoreError: `metadata.db` is lost, damaged, locked or of another program.
    """
    store_file.check_store(root)
    readers = [LineageReader.open_root(root)] if metadata_store.has_runs(root) else []
    recorded = [finding for reader in readers for finding in (*_check_artifacts(reader), *_check_executions(reader))]
    return [*recorded, *_check_left_overs(root), *_check_versions(root)]


def fix_store(root: Root) -> list[StoreFinding]:
    """Repairs what can be repaired safely, while no run holds the root.

    Returns:
        The findings that are left.

    Raises:
        TaxiwayError: A run holds the root.
        StoreError: See `examine_store`.
    """
    with root_lock.hold_lock(root, wait=False):
        _repair_store(root)
        for folder in _list_model_folders(root):
            ServingDirectory(folder).write_server_files({})  # taking the lock tidies the staging folder
        shutil.rmtree(root.path / gc.TRASH, ignore_errors=True)
        temporary_files.remove_left_overs(root)
    return examine_store(root)


def _repair_store(root: Root) -> None:
    try:
        if not store_file.check_store(root):
            return
        recovery.end_open_executions(root, "FAILED")
    except store_file.DamagedStoreError:
        store_file.put_store_aside(root)
        return
    mlmd = open_for_writing(root.metadata)
    artifact_digests.set_aside_damaged(mlmd)
    gone = [artifact for artifact in mlmd.get_artifacts() if artifact_digests.find_damage(artifact) == "gone"]
    for artifact in gone:
        artifact.state = pb.Artifact.DELETED
    if gone:
        mlmd.put_artifacts(gone)


def _check_artifacts(reader: LineageReader) -> Iterator[StoreFinding]:
    for artifact in reader.mlmd.get_artifacts():
        what = artifact_digests.find_damage(artifact)
        if what:
            mends = "" if artifact.id >= FIRST_ID else "marked as deleted, so that the next run makes it again"
            yield StoreFinding(
                kind="artifact", what=f"{artifact.type} {artifact.id} is {what}: {artifact.uri}", mends=mends
            )


def _check_executions(reader: LineageReader) -> Iterator[StoreFinding]:
    open_ids = [
        execution.id for execution in reader.mlmd.get_executions() if execution.last_known_state in recovery.OPEN
    ]
    for node in reader.get_executions(open_ids):
        what = f"{node.name} #{node.id} of run {node.run} began {printing.format_time(node.time)} and never ended"
        yield StoreFinding(kind="execution", what=what, mends="ended as failed")


def _check_left_overs(root: Root) -> Iterator[StoreFinding]:
    staged = [path for folder in _list_model_folders(root) for path in (folder / STAGING).glob("*")]
    for path in [*staged, *_list_trash(root), *temporary_files.list_left_overs(root)]:
        yield StoreFinding(kind="left-over", what=f"{path} is left of something that was killed", mends="removed")


def _check_versions(root: Root) -> Iterator[StoreFinding]:
    for folder in _list_model_folders(root):
        for version in ServingDirectory(folder).list_versions():
            if version.problem:
                what = f"version {version.number} of {folder.name} is damaged: {version.problem}"
                yield StoreFinding(kind="version", what=what)
            elif not version.provenance:
                what = f"version {version.number} of {folder.name} has no provenance: another program made it"
                yield StoreFinding(kind="version", what=what)


def _list_model_folders(root: Root) -> list[Path]:
    return sorted(path for path in root.serving.iterdir() if path.is_dir()) if root.serving.is_dir() else []


def _list_trash(root: Root) -> list[Path]:
    return sorted((root.path / gc.TRASH).glob("*"))
