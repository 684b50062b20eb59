"""The files of an artifact by its URI: where they are on this machine, or downloaded from an object store.

Every reader of artifacts asks here. What was downloaded is kept under `TAXIWAY_CACHE` (by default in the user's cache
folder), at most `CACHE_BYTES` of it; those that were not asked for the longest go first. Files are read as data; what
comes from a store is not run.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from taxiway.components.errors import StoreError
from taxiway.components.files.durable_files import replace_file
from taxiway.components.files.object_store_settings import find_settings
from taxiway.components.files.object_stores import (
    ObjectFolder,
    StoredObject,
    UnreachableError,
    is_object_url,
    split_url,
)

CACHE_VARIABLE, LIMIT_VARIABLE = "TAXIWAY_CACHE", "TAXIWAY_DOWNLOAD_MIB"
DEFAULT_LIMIT_MIB = 256
CACHE_BYTES = 2 << 30
SETTLED_SECONDS = 3600
"""A copy that was made so long after the newest of its objects is not compared with the store again."""
ASK_AGAIN_SECONDS = 60.0
"""One command reads an artifact several times; a process that lives long asks again."""
_LISTING = ".objects.json"


def find_folder(uri: str, names: Iterable[str] = ("*",)) -> Path:
    """The folder of an artifact's files on this machine.

    Args:
        uri: URI of the artifact: a path, or a folder of an object store, whose files are downloaded.
        names: Patterns of the names that are wanted, in the folder.

    Returns:
        The folder; it need not be there, as the artifact's own need not.

    Raises:
        StoreError: The store cannot be read, its package is missing, or the files are larger than the limit.
    """
    return _find_downloaded(uri, tuple(names)) if is_object_url(uri) else Path(uri)


def find_file(uri: str, name: str) -> Path:
    """One file of an artifact; see `find_folder`."""
    return find_folder(uri, (name,)) / name


def _find_downloaded(uri: str, names: tuple[str, ...]) -> Path:
    """As `_download`; what was asked for, and a store that did not answer, is not asked again for a while."""
    place = _get_place(uri)
    for key in (split_url(uri)[:2], (place, names)):
        outcome = _recent_outcomes.get(key)
        if outcome and time.monotonic() - outcome[0] < ASK_AGAIN_SECONDS:
            return _unwrap_outcome(outcome[1])
    outcome = (time.monotonic(), _try_download(uri, names, place))
    _recent_outcomes[place, names] = outcome
    if isinstance(outcome[1], UnreachableError):
        _recent_outcomes[split_url(uri)[:2]] = outcome
    return _unwrap_outcome(outcome[1])


_recent_outcomes: dict[tuple[object, ...], tuple[float, Path | StoreError]] = {}


def _try_download(uri: str, names: tuple[str, ...], place: Path) -> Path | StoreError:
    try:
        return _download(uri.rstrip("/"), names, place)
    except StoreError as error:
        return error


def _unwrap_outcome(outcome: Path | StoreError) -> Path:
    if isinstance(outcome, StoreError):
        raise type(outcome)(outcome.problem, outcome.remedy)
    return outcome


def forget_downloads() -> None:
    """Asks the stores again for what this process has asked before."""
    _recent_outcomes.clear()


def _get_place(uri: str) -> Path:
    """The folder of the copy; two stores at two addresses may use one URI."""
    scheme, bucket, key = split_url(uri)
    settings = find_settings(scheme, bucket, key)  # type: ignore[arg-type]
    place = hashlib.sha256(f"{settings.endpoint_url} {uri.rstrip('/')}".encode()).hexdigest()[:32]
    return _get_cache_folder() / place


def _get_cache_folder() -> Path:
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE]).expanduser() / "objects"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "taxiway" / "objects"


def _download(uri: str, names: tuple[str, ...], place: Path) -> Path:
    copied = _read_listing(place)
    if _is_settled(copied, names):
        os.utime(place)
        return place
    store = ObjectFolder(uri)
    objects = _list_objects(store, names)
    _check_limit(uri, objects)
    _check_names(uri, objects)
    with _explain_cache_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        changed = [name for name, each in objects.items() if copied["objects"].get(name) != asdict(each)]
        for name in {*changed, *(name for name in objects if not (place / name).is_file())}:
            _download_object(store, name, place / name)
        for name in copied["objects"].keys() - objects.keys():
            if _matches(name, names):
                (place / name).unlink(missing_ok=True)
        others = {name: each for name, each in copied["objects"].items() if not _matches(name, names)}
        _write_listing(place, uri, names, {**others, **{name: asdict(each) for name, each in objects.items()}})
        if changed:
            _trim_cache(place)
    return place


def _list_objects(store: ObjectFolder, names: Iterable[str]) -> dict[str, StoredObject]:
    try:
        objects = store.list_objects()
    except FileNotFoundError as error:
        raise StoreError(f"There is no {store.url}: {error}.", "Check the bucket and AWS_ENDPOINT_URL_S3.") from error
    if not objects:
        raise StoreError(
            f"{store.url} holds nothing: it was removed there, or is not uploaded yet.", "Ask again after the step."
        )
    return {name: each for name, each in objects.items() if _matches(name, names)}


def _download_object(store: ObjectFolder, name: str, target: Path) -> None:
    """A reader sees the file whole or not at all, whoever else downloads it."""
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        store.download_object(name, part)
        part.replace(target)
    except FileNotFoundError as error:
        raise StoreError(f"{store.url}/{name} was removed while it was read.", "Ask again.") from error
    finally:
        part.unlink(missing_ok=True)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _check_limit(uri: str, objects: Mapping[str, StoredObject]) -> None:
    size = sum(each.size for each in objects.values())
    limit = _read_limit()
    if size > limit << 20:
        raise StoreError(
            f"{uri} has {size / (1 << 20):,.0f} MiB; at most {limit} are downloaded.",
            f"Set {LIMIT_VARIABLE} to allow more.",
        )


def _read_limit() -> int:
    text = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_LIMIT_MIB)
    if not (text.isascii() and text.isdigit()):
        raise StoreError(f"{LIMIT_VARIABLE} is {text!r}.", "Accepted is a whole number of MiB.")
    return int(text)


def _check_names(uri: str, objects: Iterable[str]) -> None:
    for name in objects:
        parts = name.split("/")
        if name.startswith("/") or any(part in ("..", ".", "") for part in parts) or "\\" in name or "\0" in name:
            raise StoreError(f"{uri} holds an object named {name!r}, which is no file name.", "Remove it there.")


def _read_listing(place: Path) -> dict[str, dict]:  # type: ignore[type-arg]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        content = json.loads((place / _LISTING).read_text(encoding="utf-8"))
        if isinstance(content.get("objects"), dict) and isinstance(content.get("names"), dict):
            return dict(content)
    return {"objects": {}, "names": {}}


def _write_listing(place: Path, uri: str, names: tuple[str, ...], objects: dict[str, dict[str, object]]) -> None:
    taken = {**_read_listing(place)["names"], **dict.fromkeys(names, time.time())}
    replace_file(place / _LISTING, json.dumps({"uri": uri, "names": taken, "objects": objects}))


def _is_settled(copied: Mapping[str, dict], names: Iterable[str]) -> bool:  # type: ignore[type-arg]
    """Whether what is wanted was copied long after it was written: a run's artifacts do not change any more.

    A run's record is there before the launcher has uploaded what the step wrote, so a fresh copy may lack files.
    """
    wanted = [each for name, each in copied["objects"].items() if _matches(name, names)]
    newest = max((float(each["modified"]) for each in wanted), default=None)
    if newest is None or not newest:
        return False
    return all(copied["names"].get(name, 0) - newest > SETTLED_SECONDS for name in names)


@contextlib.contextmanager
def _explain_cache_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename or place} cannot be written: {error.strerror or error}.",
            f"Name a folder for downloads that this user may write: {CACHE_VARIABLE}.",
        ) from error


def _trim_cache(newest: Path) -> None:
    """Removes the copies that were not asked for the longest, until the rest is within the limit."""
    copies = sorted((path for path in newest.parent.iterdir() if path != newest), key=lambda path: path.stat().st_mtime)
    sizes = {path: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in copies}
    total = sum(sizes.values())
    for path in copies:
        if total <= CACHE_BYTES:
            return
        shutil.rmtree(path, ignore_errors=True)
        total -= sizes[path]
