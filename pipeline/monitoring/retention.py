"""Which verdicts stay: the newest ones of each version, and the last of each kind. And which request logs."""

from __future__ import annotations

import glob
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from taxiway.components.serving.config import REQUEST_LOG_FOLDER
from taxiway.components.serving.request_log.file_names import list_files
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.monitoring import record
from taxiway.pipeline.monitoring.verdicts import (
    VERDICT_FILE,
    VERDICT_ID,
    ServingVerdict,
    get_folder,
    list_verdicts,
)
from taxiway.pipeline.root import Root

DAY_SECONDS = 86_400.0
LOG_DAYS = 30.0
VERDICTS_KEPT = 200
"""Of each version, with labels and without: more than a week of hours, half a year of days."""
LEFT_SECONDS = 3600.0


def prune_verdicts(root: Root, model: str | None = None, kept: int = VERDICTS_KEPT) -> list[Path]:
    """Deletes what is beyond the bound, and returns the folders. ML Metadata keeps the records.

    Raises:
        StoreError: A verdict is damaged.
    """
    folders = list(list_old_folders(root, model, kept))
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    record.mark_deleted(root, {str(folder) for folder in folders})
    return folders


def list_old_folders(root: Root, model: str | None = None, kept: int = VERDICTS_KEPT) -> Iterator[Path]:
    """The folders beyond the bound, and those that have no verdict any more.

    Args:
        root: The root.
        model: Only this model's.
        kept: Verdicts of each version that stay: so many with labels, which cost more to get, and so many without. The
            last of each kind (status, with labels or without, standing or an experiment) stays beside them.

    Raises:
        StoreError: A verdict is damaged.
    """
    groups: dict[tuple[str, int, bool], list[ServingVerdict]] = defaultdict(list)
    for verdict in list_verdicts(root, model):
        groups[verdict.model, verdict.model_version, bool(verdict.performance)].append(verdict)
    for listed in groups.values():
        # The newest by when they were made: late labels judge an old window, and that verdict is a new one.
        verdicts = sorted(listed, key=lambda verdict: verdict.created, reverse=True)
        last = {(verdict.status, verdict.standing): verdict.verdict_id for verdict in reversed(verdicts)}
        stays = set(last.values())
        yield from (get_folder(root, each) for each in verdicts[kept:] if each.verdict_id not in stays)
    yield from _list_left_folders(root, model)


def _list_left_folders(root: Root, model: str | None) -> Iterator[Path]:
    """Folders of verdicts that hold a page or statistics, and no verdict: what a deletion or a kill left behind.

    A young one may be that of a verdict which is just made.
    """
    before = time.time() - LEFT_SECONDS
    for folder in sorted(root.monitoring.glob(f"{'*' if model is None else glob.escape(model)}/*")):
        if not VERDICT_ID.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        try:
            times = [path.stat().st_mtime for path in (folder, *folder.iterdir())]
        except OSError:
            continue
        if not (folder / VERDICT_FILE).exists() and max(times) < before:
            yield folder


def list_old_logs(root: Root, days: float = LOG_DAYS) -> list[Path]:
    """Closed files of request logs that are older than some days, or beyond `serving.request_log.files_kept`.

    A server keeps to that number itself, but only while it writes.

    Raises:
        ServingError: The settings of a model's last push are damaged.
    """
    old: list[Path] = []
    before = time.time() - days * DAY_SECONDS
    for folder in sorted(root.serving.glob(f"*/{REQUEST_LOG_FOLDER}")):
        files = list_files(folder)
        kept = server_files.read_settings(ServingDirectory(folder.parent)).request_log.files_kept
        beyond = set(files[:-kept])
        old += [file for file in files if file in beyond or file.stat().st_mtime < before]
    return old
