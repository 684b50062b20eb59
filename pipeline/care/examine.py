"""`taxiway doctor --root DIR`: what under a root is not as it should be, and what of it can be mended safely."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ml_metadata.proto import metadata_store_pb2 as pb
from rich.table import Table

from components.configuration import Section
from components.serving.directory import ServingDirectory
from pipeline import integrity, output, recovery, root_lock, store, store_file, temporary_files
from pipeline.care import gc
from pipeline.layout import Root
from pipeline.lineage.reader import Reader
from pipeline.recorded import FIRST_ID

Kind = Literal["artifact", "execution", "left-over", "version"]
STAGING = ".taxiway/staging"


class Trouble(Section):
    """One thing under a root that is not as it should be."""

    kind: Kind
    what: str
    """A sentence with the path or the id."""
    mends: str = ""
    """What `--fix` does about it; empty where a person must decide."""

    def sentence(self) -> str:
        """What it is, and what `--fix` does about it."""
        return f"{self.what} (--fix: {self.mends})" if self.mends else self.what


def examine(root: Root) -> list[Trouble]:
    """Looks at everything under a root without changing it. While a run works, its own open nodes are reported too.

    Raises:
        StoreError: `metadata.db` is lost, damaged, locked or of another program.
    """
    _check_store(root)
    readers = [Reader.of(root)] if store.knows_runs(root) else []
    told = [trouble for reader in readers for trouble in (*_artifacts(reader), *_executions(reader))]
    return [*told, *_left_overs(root), *_versions(root)]


def fix(root: Root) -> list[Trouble]:
    """Mends what is safe, while no run holds the root.

    Returns:
        What is still not as it should be.

    Raises:
        TaxiwayError: A run holds the root.
        StoreError: See `examine`.
    """
    with root_lock.hold(root, wait=False):
        _mend_store(root)
        for folder in _serving(root):
            ServingDirectory(folder).write_server_files({})  # whoever takes the lock tidies the staging folder
        shutil.rmtree(root.path / gc.TRASH, ignore_errors=True)
        temporary_files.sweep(root)
    return examine(root)


def _check_store(root: Root) -> None:
    if store_file.present(root):
        store_file.check_file(root.metadata, whole=True)
    else:
        store_file.check_not_lost(root)


def _mend_store(root: Root) -> None:
    try:
        _check_store(root)
        if not recovery.has_store(root):
            return
        recovery.end_open_executions(root, "FAILED")
    except store_file.DamagedStoreError:
        store_file.put_aside(root)
        return
    mlmd = recovery.writable(root)
    integrity.set_aside_damaged(mlmd)
    gone = [artifact for artifact in mlmd.get_artifacts() if _damage(artifact) == "gone"]
    for artifact in gone:
        artifact.state = pb.Artifact.DELETED
    if gone:
        mlmd.put_artifacts(gone)


def _artifacts(reader: Reader) -> Iterator[Trouble]:
    for artifact in reader.mlmd.get_artifacts():
        what = _damage(artifact)
        if what:
            mends = "" if artifact.id >= FIRST_ID else "marked as deleted, so that the next run makes it again"
            yield Trouble(kind="artifact", what=f"{artifact.type} {artifact.id} is {what}: {artifact.uri}", mends=mends)


def _damage(artifact: pb.Artifact) -> str:
    """`gone`, `changed`, or nothing; only a sealed artifact can be known to be changed."""
    if artifact.state != pb.Artifact.LIVE or not artifact.uri or "://" in artifact.uri:
        return ""
    folder = Path(artifact.uri)
    if not folder.exists():
        return "gone"
    sealed: Any = artifact.custom_properties
    if integrity.DIGEST_PROPERTY not in sealed or not folder.is_dir():
        return ""
    if integrity.stat_digest(folder) == sealed[integrity.STAT_PROPERTY].string_value:
        return ""
    same = integrity.content_digest(folder) == sealed[integrity.DIGEST_PROPERTY].string_value
    return "" if same else "changed"


def _executions(reader: Reader) -> Iterator[Trouble]:
    found = [execution.id for execution in reader.mlmd.get_executions() if execution.last_known_state in recovery.OPEN]
    for node in reader.executions(found):
        what = f"{node.name} #{node.id} of run {node.run} began {output.moment(node.time)} and never ended"
        yield Trouble(kind="execution", what=what, mends="ended as failed")


def _left_overs(root: Root) -> Iterator[Trouble]:
    staged = [path for folder in _serving(root) for path in (folder / STAGING).glob("*")]
    for path in [*staged, *_trash(root), *temporary_files.left_over(root)]:
        yield Trouble(kind="left-over", what=f"{path} is left of something that was killed", mends="removed")


def _versions(root: Root) -> Iterator[Trouble]:
    for folder in _serving(root):
        for version in ServingDirectory(folder).versions():
            if not version.provenance:
                what = f"version {version.number} of {folder.name} has no provenance: another program made it"
                yield Trouble(kind="version", what=what)


def _serving(root: Root) -> list[Path]:
    return sorted(path for path in root.serving.iterdir() if path.is_dir()) if root.serving.is_dir() else []


def _trash(root: Root) -> list[Path]:
    return sorted((root.path / gc.TRASH).glob("*"))


def table(troubles: list[Trouble]) -> Table:
    """The troubles as a table; one line where there are none."""
    rows = [(trouble.kind, output.plain(trouble.what), trouble.mends or "–") for trouble in troubles]
    title = "The store" if rows else "The store: everything is as it should be"
    return output.table(title, ("", "what", "--fix"), rows)
