"""`taxiway gc`: deletes what nothing that is live, labelled, blessed or recent needs.

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

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb
from rich.console import Group, RenderableType
from rich.text import Text

from taxiway.components.errors import UsageError
from taxiway.pipeline.console import printing
from taxiway.pipeline.lineage.query import LineageQuery, LineageTarget
from taxiway.pipeline.lineage.traversal import INPUTS, OUTPUTS, LineageReader
from taxiway.pipeline.monitoring import retention
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.on_disk import root_lock, temporary_files
from taxiway.pipeline.tracking.store import store_file
from taxiway.pipeline.tracking.store.metadata_store import RunStore, has_runs
from taxiway.pipeline.tracking.store.mlmd_connection import open_for_writing

TRASH = ".trash"
KEEP_RUNS = 10
GOING = (pb.Artifact.LIVE, pb.Artifact.MARKED_FOR_DELETION)
FORMAT_VERSION = 1


@dataclass(frozen=True)
class CollectionResult:
    """What a collection deleted, or would delete.

    Attributes:
        artifacts: Ids in ML Metadata.
        folders: Folders of artifacts, of checkpoints, of old verdicts on served versions, and of temporary files that a
            killed run left; old files of request logs.
        total_bytes: Size of the folders.
        kept: Number of artifacts that stay, by reason.
        dry: Whether nothing was changed.
    """

    artifacts: tuple[int, ...] = ()
    folders: tuple[str, ...] = ()
    total_bytes: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    dry: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"version": FORMAT_VERSION, **asdict(self)}


@dataclass(frozen=True)
class _CollectionPlan:
    going: list[pb.Artifact]
    back: list[pb.Artifact]
    checkpoints: list[Path]
    kept: dict[str, int]


def collect(
    root: Root,
    *,
    keep_runs: int = KEEP_RUNS,
    older_than_days: float | None = None,
    log_days: float = retention.LOG_DAYS,
    dry_run: bool = False,
) -> CollectionResult:
    """Deletes what nothing needs, while no run holds the root.

    Args:
        root: Root to clean.
        keep_runs: Number of newest runs that keep everything that they read and wrote.
        older_than_days: Age in days; what is younger stays. None: age does not matter.
        log_days: Age in days from which on the files of request logs go.
        dry_run: Whether to say only what would be deleted.

    Raises:
        UsageError: `keep_runs` is less than one, or the root holds runs of a cluster only.
        TaxiwayError: A run holds the root.
        StoreError: `metadata.db` is missing, damaged, locked or of another program.
    """
    if keep_runs < 1:
        raise UsageError(f"--keep-runs {keep_runs} is less than 1.", "The newest run always keeps its artifacts.")
    if not store_file.has_store_file(root) and has_runs(root):
        raise UsageError(
            f"{root.path} holds emulated or Kubeflow runs only: their artifacts are the object store's.",
            "Give its buckets a lifecycle rule; an emulation's lie in kfp/objects, with their cache in kfp/state.json.",
        )
    store_file.check_file(root.metadata)
    with root_lock.hold_lock(root, wait=False):
        plan = _plan_collection(root, keep_runs, older_than_days)
        logs, verdicts = retention.list_old_logs(root, log_days), list(retention.list_old_folders(root))
        taken = [*plan.checkpoints, *verdicts, *logs, *temporary_files.list_left_overs(root)]
        folders = [*dict.fromkeys(artifact.uri for artifact in plan.going), *map(str, taken)]
        size = sum(measure_folder(Path(folder)) for folder in folders)
        if not dry_run:
            _execute_plan(root, plan)
            retention.prune_verdicts(root)
            for file in logs:
                file.unlink(missing_ok=True)
            temporary_files.remove_left_overs(root)
        ids = tuple(artifact.id for artifact in plan.going)
    return CollectionResult(ids, tuple(folders), size, plan.kept, dry_run)


# ---- what stays ----


def _plan_collection(root: Root, keep_runs: int, older_than_days: float | None) -> _CollectionPlan:
    reader = LineageReader.open_file(root.metadata)
    needed = {
        "recent runs": find_run_artifacts(reader, reader.list_run_ids()[-keep_runs:]),
        "versions": find_version_artifacts(root),
        "blessed": find_blessed_artifacts(reader),
    }
    stays = set().union(*needed.values())
    artifacts = reader.mlmd.get_artifacts()
    before = time.time() - older_than_days * retention.DAY_SECONDS if older_than_days is not None else float("inf")
    outside = {artifact.id for artifact in artifacts if not _is_collectable(artifact, root, before)}
    kept_folders = {a.uri.rstrip("/") for a in artifacts if a.id in stays | outside and a.state in GOING}
    free = [a for a in artifacts if a.state in GOING and a.id not in stays | outside]
    going = [artifact for artifact in free if not shares_folder(artifact.uri, kept_folders)]
    back = [
        a for a in artifacts if a.id in stays and a.state == pb.Artifact.MARKED_FOR_DELETION and Path(a.uri).is_dir()
    ]
    kept = {why: len(ids) for why, ids in needed.items()}
    return _CollectionPlan(going, back, _find_old_checkpoints(root, reader, keep_runs, before), kept)


def find_run_artifacts(reader: LineageReader, run_ids: Iterable[str]) -> set[int]:
    """Artifacts that runs read, wrote or took from the cache, with everything that these came from."""
    executions = [each for run_id in run_ids for each in reader.list_run_executions(run_id)]
    events = reader.get_execution_events(executions, INPUTS | OUTPUTS)
    return _add_related_artifacts(reader, {event.artifact_id for event in events})


def find_version_artifacts(root: Root) -> set[int]:
    """Everything that the versions in the serving directories came from, live, labelled, or kept to roll back to, and
    the explanations of their models."""
    sources = LineageQuery(root)
    present = tuple(node for node in sources.versions if node.type != "gone")
    graph = sources.walk_upstream(LineageTarget(versions=present))
    needed = _add_related_artifacts(sources.reader, {node.id for node in graph.where(kind="artifact") if node.id})
    return needed | _find_explanations(sources.reader, needed)


def _find_explanations(reader: LineageReader, artifacts: set[int]) -> set[int]:
    """Explanations that came from these artifacts alone: they stand behind the push, so no version came from them."""
    written = {node.id for node in reader.list_artifacts_of_type("taxiway.ModelExplanation") if node.id}
    return {each for each in written if reader.walk_upstream({each}).artifacts - {each} <= artifacts}


def find_blessed_artifacts(reader: LineageReader) -> set[int]:
    """Everything behind the newest blessed model: what a later evaluation may be measured against."""
    blessed = [
        node.id for node in reader.list_artifacts_of_type("ModelBlessing") if node.properties.get("blessed") == 1
    ]
    return _add_related_artifacts(reader, {each for each in blessed[-1:] if each})


def _add_related_artifacts(reader: LineageReader, artifacts: set[int]) -> set[int]:
    """Artifacts, what they came from, and what the same executions wrote beside it: the cache wants all or nothing."""
    walked = reader.walk_upstream(artifacts)
    beside = reader.get_execution_events(walked.executions, OUTPUTS)
    return walked.artifacts | {event.artifact_id for event in beside}


def _is_collectable(artifact: pb.Artifact, root: Root, before: float) -> bool:
    """Only what lies below the root's own artifacts and is old enough."""
    inside = root.artifacts in Path(artifact.uri).parents
    return inside and artifact.create_time_since_epoch / 1000 < before


def shares_folder(uri: str, folders: set[str]) -> bool:
    """Whether a folder is, holds or lies in one of others."""
    own = uri.rstrip("/")
    parents = {str(parent) for parent in Path(own).parents}
    return own in folders or bool(parents & folders) or any(folder.startswith(f"{own}/") for folder in folders)


def _find_old_checkpoints(root: Root, reader: LineageReader, keep_runs: int, before: float) -> list[Path]:
    """Checkpoints that no run has touched since the oldest kept one began."""
    if not root.checkpoints.is_dir():
        return []
    times = RunStore(root.metadata).read_run_times()
    begun = min((times[each] for each in reader.list_run_ids()[-keep_runs:] if each in times), default=0.0)
    return [folder for folder in sorted(root.checkpoints.iterdir()) if _find_last_change(folder) < min(begun, before)]


def _find_last_change(folder: Path) -> float:
    return max((path.stat().st_mtime for path in (folder, *folder.rglob("*")) if path.exists()), default=0.0)


# ---- deleting ----


def _execute_plan(root: Root, plan: _CollectionPlan) -> None:
    mlmd = open_for_writing(root.metadata)
    _set_states(mlmd, plan.back, pb.Artifact.LIVE)
    _set_states(mlmd, plan.going, pb.Artifact.MARKED_FOR_DELETION)
    trash = root.path / TRASH
    trash.mkdir(exist_ok=True)
    for uri in dict.fromkeys(artifact.uri for artifact in plan.going):
        move_to_trash(Path(uri), trash)
    _set_states(mlmd, plan.going, pb.Artifact.DELETED)
    for folder in plan.checkpoints:
        move_to_trash(folder, trash)
    shutil.rmtree(trash, ignore_errors=True)  # what stays behind goes with the next collection


def move_to_trash(folder: Path, trash: Path) -> None:
    """Moves a folder into the trash with one rename; nothing where it is gone already."""
    if folder.exists():
        os.rename(folder, trash / f"{folder.parent.name}-{folder.name}-{time.time_ns()}")  # noqa: PTH104 - one step


def _set_states(mlmd: MetadataStore, artifacts: Iterable[pb.Artifact], state: int) -> None:
    changed = []
    for artifact in artifacts:
        if artifact.state != state:
            artifact.state = state
            changed.append(artifact)
    if changed:
        mlmd.put_artifacts(changed)


def measure_folder(folder: Path) -> int:
    """Bytes of a file, or of the files below a folder; 0 where it is gone."""
    if folder.is_file():
        return folder.stat().st_size
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def render_result(collection: CollectionResult) -> RenderableType:
    """The result as text."""
    verb = "would go" if collection.dry else "gone"
    kept = ", ".join(f"{count} for {why}" for why, count in collection.kept.items())
    head = f"{len(collection.artifacts)} artifacts, {printing.format_bytes(collection.total_bytes)} {verb}; kept {kept}"
    folders = [Text(f"  {folder}", style="dim") for folder in collection.folders[:20]]
    more = (
        [Text(f"  and {len(collection.folders) - 20} more: --json lists them")] if len(collection.folders) > 20 else []
    )
    return Group(Text(head), *folders, *more)
