"""Checks the file `metadata.db` through sqlite before ML Metadata opens it: is it there, whole, readable?

ML Metadata would create an empty store where there is none, and answers a damaged file with a protocol error.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from taxiway.components.errors import StoreError
from taxiway.pipeline.root import Root

_SQLITE_MAGIC = b"SQLite format 3\x00"
TABLES = frozenset(
    [
        "Type",
        "TypeProperty",
        "ParentType",
        "Artifact",
        "ArtifactProperty",
        "Execution",
        "ExecutionProperty",
        "Context",
        "ContextProperty",
        "ParentContext",
        "Event",
        "EventPath",
        "Association",
        "Attribution",
        "MLMDEnv",
    ]
)
"""Of ML Metadata, in every version of its schema since 2020."""
JOURNALS = ("-journal", "-wal", "-shm")
CHECKED_BYTES = 1 << 26
"""Larger files are read through only by a run and by the doctor: others must answer at once."""
LOCK_SECONDS = 5.0
PUT_ASIDE = "put-aside"
"""Folder under a root for what `doctor --fix` takes out of the way."""


class DamagedStoreError(StoreError):
    """`metadata.db` is lost or cannot be trusted: `put_store_aside` takes it out of the way."""


def make_sqlite_uri(path: Path, mode: str) -> str:
    """sqlite's URI of a file: `#`, `?` and `%` in the path are no part of that language."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def has_store_file(root: Root) -> bool:
    """Whether a root holds a store. An empty file is none: a run that finds the disk full leaves one.

    Raises:
        DamagedStoreError: It is empty, and runs had written into it.
        StoreError: It cannot be looked at.
    """
    with _translate_os_errors(root.metadata):
        if root.metadata.is_dir() or (root.metadata.exists() and root.metadata.stat().st_size > 0):
            return True
        if root.metadata.exists():
            _check_not_lost(root)
    return False


def check_store(root: Root) -> bool:
    """Refuses a root whose store is damaged or lost; reads every page of it.

    Returns:
        Whether the root has a store.

    Raises:
        DamagedStoreError: It is damaged, or lost though runs had written into it.
        StoreError: It is of another program, locked, or cannot be read.
    """
    if not has_store_file(root):
        _check_not_lost(root)
        return False
    check_file(root.metadata, whole=True)
    return True


def _check_not_lost(root: Root) -> None:
    """Refuses a root whose store is lost: its runs can still be listed, but a new run must not begin an empty store.

    Raises:
        DamagedStoreError: Runs had written into one.
    """
    lost = _find_recorded_run(root)
    if lost:
        how = "is empty" if root.metadata.exists() else "is gone"
        raise make_damage_error(root.metadata, f"{how}, though {lost} under {root.runs} had written into it")


def _find_recorded_run(root: Root) -> str:
    """The newest run whose nodes ML Metadata had recorded since a store was last put aside; empty where none had."""
    since = max((path.stat().st_mtime for path in (root.path / PUT_ASIDE).glob("*")), default=0.0)
    summaries = sorted(root.runs.glob("*/summary.json"), reverse=True) if root.runs.is_dir() else []
    for summary in summaries:
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            nodes = json.loads(summary.read_text(encoding="utf-8")).get("nodes", ())
            if summary.stat().st_mtime > since and any(node.get("execution_id") for node in nodes):
                return f"run {summary.parent.name}"
    return ""


def check_file(path: Path, *, whole: bool = False) -> None:
    """Refuses a file that is no sound metadata store. A journal that a killed process left is rolled back first.

    Args:
        path: Path of `metadata.db`.
        whole: Whether every page is read, however large the file is.

    Raises:
        DamagedStoreError: It is damaged.
        StoreError: There is no such file, it is of another program, locked, or cannot be read.
    """
    magic = _read_first_bytes(path)
    if magic != _SQLITE_MAGIC:
        raise make_damage_error(
            path, "is empty" if not magic else "is no sqlite database: it is damaged or of another program"
        )
    if any(path.with_name(path.name + end).exists() for end in JOURNALS):
        _finish_journal(path)
    with _translate_sqlite_errors(path), _open_sqlite(path, "ro") as connection:
        _check_tables(path, {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")})
        pages, page_bytes = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        if whole or pages * page_bytes <= CHECKED_BYTES:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if answer != "ok":
                raise make_damage_error(path, f"is damaged: {answer.splitlines()[-1]}")
        if not connection.execute("SELECT count(*) FROM MLMDEnv").fetchone()[0]:
            raise make_damage_error(path, "is damaged: it does not say which version of ML Metadata wrote it")


def _read_first_bytes(path: Path) -> bytes:
    try:
        with _translate_os_errors(path), open(path, "rb") as file:
            return file.read(len(_SQLITE_MAGIC))
    except FileNotFoundError as error:
        raise StoreError(
            f"There is no metadata store {path}.", "Name the --root of a run, or run: taxiway run"
        ) from error


def _check_tables(path: Path, tables: set[str]) -> None:
    if not tables & TABLES:
        raise StoreError(f"{path} is a sqlite database of another program, not ML Metadata's.", "Give another --root.")
    missing = sorted(TABLES - tables)
    if missing:
        raise make_damage_error(path, f"is damaged: it has no table {', '.join(missing)}")


def _finish_journal(path: Path) -> None:
    """A process that was killed while it wrote leaves a journal; the next process that may write rolls it back."""
    with _translate_sqlite_errors(path), _open_sqlite(path, "rw") as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


@contextlib.contextmanager
def _open_sqlite(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(make_sqlite_uri(path, mode), uri=True, timeout=LOCK_SECONDS)) as connection:
        yield connection


@contextlib.contextmanager
def _translate_sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise StoreError(f"{path} is locked by another process ({error}).", "Try again in a moment.") from error
        left = [path.name + end for end in JOURNALS if path.with_name(path.name + end).exists()]
        if left:
            raise StoreError(
                f"{path} cannot be read: {error}. A killed process left {', '.join(left)} beside it.",
                "Ask once as a user who may write there: sqlite then takes back what was half written.",
            ) from error
        if "unable to open" in str(error) or "disk I/O" in str(error):
            raise StoreError(f"{path} cannot be read: {error}.", "Look at its rights and at the disk.") from error
        raise make_damage_error(path, f"is damaged: {error}") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise make_damage_error(path, f"is damaged: {error}") from error


@contextlib.contextmanager
def _translate_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except IsADirectoryError as error:
        raise make_damage_error(path, "is a folder, not a database") from error
    except OSError as error:
        raise StoreError(
            f"{error.filename or path} cannot be read: {error.strerror}.", "Give this user the right to read it."
        ) from error


def make_damage_error(path: Path, what: str) -> DamagedStoreError:
    """The error that says what of a store is damaged, what is lost with it, and what to do."""
    return DamagedStoreError(
        f"{path} {what}.",
        "Put a copy of it back if there is one. If there is none: `taxiway doctor --fix` with this --root puts it and "
        f"the artifacts aside ({path.parent / PUT_ASIDE}). Lost is then what only it knew: the cache, and the lineage "
        "of what no version came from. Runs, versions and each version's own lineage stay; the next run makes "
        "everything again.",
    )


def put_store_aside(root: Root) -> Path:
    """Moves a damaged store, and the artifacts that only it knew, to `put-aside/`: the next run begins new ones.

    ML Metadata numbers executions from 1 again, so the old artifacts may not stay where new ones would be written.
    The caller holds the root's lock.

    Returns:
        The folder that holds them now.
    """
    folder = root.path / PUT_ASIDE / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    journals = [root.metadata.with_name(root.metadata.name + end) for end in JOURNALS]
    for path in (*journals, root.artifacts, root.metadata):
        if path.exists():
            path.rename(folder / path.name)
    return folder
