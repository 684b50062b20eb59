"""`taxiway gc`: takes away what nothing that is live, labelled, blessed or recent needs.

The order survives SIGKILL at any moment. An artifact is first marked in ML Metadata, then its folder is renamed into
the trash (one step: it is whole or gone, and TFX's cache look-up sees that it is gone), then the mark becomes DELETED,
and the trash is emptied last. The next collection finishes what was begun, and takes back the mark of an artifact that
a run has used since while its folder still stood.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
from rich.console import Group, RenderableType
from rich.text import Text

from components.errors import UsageError
from pipeline import output, recovery, root_lock, store, store_file, temporary_files
from pipeline.layout import Root
from pipeline.lineage.reader import INPUTS, OUTPUTS, Reader
from pipeline.lineage.sources import Sources, Target

TRASH = ".trash"
KEEP_RUNS = 10
DAY_SECONDS = 86_400.0
GOING = (pb.Artifact.LIVE, pb.Artifact.MARKED_FOR_DELETION)
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Collection:
    """What a collection took away, or would.

    Attributes:
        artifacts: ML Metadata's ids.
        folders: Folders of artifacts, checkpoints, and temporary files that a killed run left.
        total_bytes: Their size on disk.
        kept: Artifacts that stay, by why: counts.
        dry: Nothing was changed.
    """

    artifacts: tuple[int, ...] = ()
    folders: tuple[str, ...] = ()
    total_bytes: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    dry: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"version": FORMAT_VERSION, **asdict(self)}


@dataclass(frozen=True)
class _Plan:
    going: list[pb.Artifact]
    back: list[pb.Artifact]
    checkpoints: list[Path]
    kept: dict[str, int]


def collect(
    root: Root, *, keep_runs: int = KEEP_RUNS, older_than_days: float | None = None, dry_run: bool = False
) -> Collection:
    """Collects, while no run holds the root.

    Args:
        root: Whose store.
        keep_runs: The newest so many runs keep everything that they read and wrote.
        older_than_days: What is younger stays too.
        dry_run: Only says what would go.

    Raises:
        UsageError: `keep_runs` is less than one, or the root holds runs of a cluster only.
        TaxiwayError: A run holds the root.
        StoreError: `metadata.db` is missing, damaged, locked or of another program.
    """
    if keep_runs < 1:
        raise UsageError(f"--keep-runs {keep_runs} is less than 1.", "The newest run always keeps its artifacts.")
    if not store_file.present(root) and store.knows_runs(root):
        raise UsageError(
            f"{root.path} holds emulated or Kubeflow runs only: their artifacts are the object store's.",
            "Give its buckets a lifecycle rule; an emulation's lie in kfp/objects, with their cache in kfp/state.json.",
        )
    store_file.check_file(root.metadata)
    with root_lock.hold(root, wait=False):
        plan = _plan(root, keep_runs, older_than_days)
        taken = [*plan.checkpoints, *temporary_files.left_over(root)]
        folders = [*dict.fromkeys(artifact.uri for artifact in plan.going), *map(str, taken)]
        size = sum(size_of(Path(folder)) for folder in folders)
        if not dry_run:
            _carry_out(root, plan)
            temporary_files.sweep(root)
        ids = tuple(artifact.id for artifact in plan.going)
    return Collection(ids, tuple(folders), size, plan.kept, dry_run)


# ---- what stays ----


def _plan(root: Root, keep_runs: int, older_than_days: float | None) -> _Plan:
    reader = Reader(root.metadata)
    needed = {
        "recent runs": of_runs(reader, reader.run_ids()[-keep_runs:]),
        "versions": of_versions(root),
        "blessed": of_newest_blessing(reader),
    }
    stays = set().union(*needed.values())
    artifacts = reader.mlmd.get_artifacts()
    before = time.time() - older_than_days * DAY_SECONDS if older_than_days is not None else float("inf")
    outside = {artifact.id for artifact in artifacts if not _may_go(artifact, root, before)}
    kept_folders = {a.uri.rstrip("/") for a in artifacts if a.id in stays | outside and a.state in GOING}
    free = [a for a in artifacts if a.state in GOING and a.id not in stays | outside]
    going = [artifact for artifact in free if not shares(artifact.uri, kept_folders)]
    back = [
        a for a in artifacts if a.id in stays and a.state == pb.Artifact.MARKED_FOR_DELETION and Path(a.uri).is_dir()
    ]
    kept = {why: len(ids) for why, ids in needed.items()}
    return _Plan(going, back, _checkpoints(root, reader, keep_runs, before), kept)


def of_runs(reader: Reader, run_ids: Iterable[str]) -> set[int]:
    """Artifacts that runs read, wrote or took from the cache, with everything that these came from."""
    executions = [each for run_id in run_ids for each in reader.run_executions(run_id)]
    events = reader.events_of_executions(executions, INPUTS | OUTPUTS)
    return _whole(reader, {event.artifact_id for event in events})


def of_versions(root: Root) -> set[int]:
    """Everything that the versions in the serving directories came from: live, labelled, or kept to roll back to."""
    sources = Sources(root)
    present = tuple(node for node in sources.versions if node.type != "gone")
    graph = sources.upstream(Target(versions=present))
    return _whole(sources.reader, {node.id for node in graph.where(kind="artifact") if node.id})


def of_newest_blessing(reader: Reader) -> set[int]:
    """Everything behind the newest blessed model: what a later evaluation may be measured against."""
    blessed = [node.id for node in reader.artifacts_of_type("ModelBlessing") if node.properties.get("blessed") == 1]
    return _whole(reader, {each for each in blessed[-1:] if each})


def _whole(reader: Reader, artifacts: set[int]) -> set[int]:
    """Artifacts, what they came from, and what the same executions wrote beside it: the cache wants all or nothing."""
    walked = reader.upstream(artifacts)
    beside = reader.events_of_executions(walked.executions, OUTPUTS)
    return walked.artifacts | {event.artifact_id for event in beside}


def _may_go(artifact: pb.Artifact, root: Root, before: float) -> bool:
    """Only what lies below the root's own artifacts and is old enough."""
    inside = root.artifacts in Path(artifact.uri).parents
    return inside and artifact.create_time_since_epoch / 1000 < before


def shares(uri: str, folders: set[str]) -> bool:
    """Whether a folder is, holds or lies in one of others."""
    own = uri.rstrip("/")
    parents = {str(parent) for parent in Path(own).parents}
    return own in folders or bool(parents & folders) or any(folder.startswith(f"{own}/") for folder in folders)


def _checkpoints(root: Root, reader: Reader, keep_runs: int, before: float) -> list[Path]:
    """Checkpoints that no run has touched since the oldest kept one began."""
    if not root.checkpoints.is_dir():
        return []
    times = store.Store(root.metadata).run_times()
    begun = min((times[each] for each in reader.run_ids()[-keep_runs:] if each in times), default=0.0)
    return [folder for folder in sorted(root.checkpoints.iterdir()) if _touched(folder) < min(begun, before)]


def _touched(folder: Path) -> float:
    return max((path.stat().st_mtime for path in (folder, *folder.rglob("*")) if path.exists()), default=0.0)


# ---- taking away ----


def _carry_out(root: Root, plan: _Plan) -> None:
    mlmd = recovery.writable(root)
    _put(mlmd, plan.back, pb.Artifact.LIVE)
    _put(mlmd, plan.going, pb.Artifact.MARKED_FOR_DELETION)
    trash = root.path / TRASH
    trash.mkdir(exist_ok=True)
    for uri in dict.fromkeys(artifact.uri for artifact in plan.going):
        throw(Path(uri), trash)
    _put(mlmd, plan.going, pb.Artifact.DELETED)
    for folder in plan.checkpoints:
        throw(folder, trash)
    shutil.rmtree(trash, ignore_errors=True)  # what stays behind goes with the next collection


def throw(folder: Path, trash: Path) -> None:
    """Moves a folder into the trash with one rename; nothing where it is gone already."""
    if folder.exists():
        os.rename(folder, trash / f"{folder.parent.name}-{folder.name}-{time.time_ns()}")  # noqa: PTH104 - one step


def _put(mlmd: metadata_store.MetadataStore, artifacts: Iterable[pb.Artifact], state: int) -> None:
    changed = []
    for artifact in artifacts:
        if artifact.state != state:
            artifact.state = state
            changed.append(artifact)
    if changed:
        mlmd.put_artifacts(changed)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; 0 where it is gone."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def rendered(collection: Collection) -> RenderableType:
    """What went, as text."""
    verb = "would go" if collection.dry else "gone"
    kept = ", ".join(f"{count} for {why}" for why, count in collection.kept.items())
    head = f"{len(collection.artifacts)} artifacts, {output.size(collection.total_bytes)} {verb}; kept {kept}"
    folders = [Text(f"  {folder}", style="dim") for folder in collection.folders[:20]]
    more = (
        [Text(f"  and {len(collection.folders) - 20} more: --json lists them")] if len(collection.folders) > 20 else []
    )
    return Group(Text(head), *folders, *more)
