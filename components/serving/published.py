"""Versions copied to an object store, for servers that read there: order and a manifest stand for the rename.

The serving directory stays what decides: numbers, lock, labels, quarantine, retention. `publish` makes a folder of an
object store hold the same versions::

    <url>/<number>/...                          the version's files; saved_model.pb after all others
    <url>/<number>/assets.extra/manifest.json   the last object: a version without it is not complete
    <url>/server/models.config                  names complete versions one by one; replaced when they are there

Every object is read back through the store before the manifest goes there. A publisher that was killed leaves a version
without a manifest, or one that `models.config` does not name; the next one completes it. What is weaker than a rename
stands in docs/serving.md.

`python -m components.serving.published` in a process of its own: TensorFlow's file systems are used (`gs://`, with
tensorflow-io `s3://`), and who pushes or rolls back need not import it. tensorflow-io 0.37 aborts when its process ends
(`pure virtual method called`), which must be nobody else's end.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from components import subprocesses
from components.errors import ServingError
from components.serving import manifest, server_files
from components.serving.config import ServingConfig
from components.serving.directory import ServingDirectory
from components.serving.manifest import MANIFEST_FILE, Manifest
from components.serving.versions import Version, check_intact

MODEL_FILE = "saved_model.pb"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Attributes:
        url: The folder.
        copied: Versions that are there now and were not, or not whole.
        removed: Versions that are gone from there.
    """

    url: str
    copied: tuple[int, ...]
    removed: tuple[int, ...]


class ObjectFolder:
    """A folder of an object store: whole objects are put, read, listed and removed; nothing is renamed."""

    def __init__(self, url: str) -> None:
        """Raises `ServingError` where TensorFlow has no file system for the URL."""
        self.url = url.rstrip("/")
        if self.url.startswith("s3://"):
            _register_s3()
        try:
            tf.io.gfile.exists(self.url)
        except tf.errors.UnimplementedError as error:
            raise ServingError(
                f"TensorFlow has no file system for {url}.", "Give a folder under gs:// or, with tensorflow-io, s3://."
            ) from error

    def put(self, name: str, content: bytes | Path) -> None:
        """Puts one object; it becomes visible, whole, when its writer is closed."""
        path = f"{self.url}/{name}"
        tf.io.gfile.makedirs(path.rpartition("/")[0])  # an empty object for a folder, without which some do not list
        with tf.io.gfile.GFile(path, "wb") as out:
            for chunk in _chunks(content):
                out.write(chunk)

    def get(self, name: str) -> bytes | None:
        """One object's bytes; None where there is none."""
        try:
            with tf.io.gfile.GFile(f"{self.url}/{name}", "rb") as source:
                return bytes(source.read())
        except tf.errors.NotFoundError:
            return None

    def sha256(self, name: str) -> str:
        """Digest of an object's bytes as a reader gets them; empty where there is none."""
        digest = hashlib.sha256()
        try:
            with tf.io.gfile.GFile(f"{self.url}/{name}", "rb") as source:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
        except tf.errors.NotFoundError:
            return ""
        return digest.hexdigest()

    def names(self, below: str = "") -> set[str]:
        """Names of the objects in the folder, or below one of its folders."""
        top = f"{self.url}/{below}".rstrip("/")
        found = set()
        for folder, _, files in tf.io.gfile.walk(top):
            inside = folder.rstrip("/").removeprefix(self.url).strip("/")
            found |= {f"{inside}/{file}".lstrip("/") for file in files if file}
        return found

    def folders(self) -> set[str]:
        """Names of the folders in the folder, empty ones among them."""
        if not tf.io.gfile.isdir(self.url):
            return set()
        return {name.rstrip("/") for name in tf.io.gfile.listdir(self.url) if tf.io.gfile.isdir(f"{self.url}/{name}")}

    def remove(self, name: str) -> None:
        """Removes an object."""
        tf.io.gfile.remove(f"{self.url}/{name}")

    def remove_folder(self, name: str) -> None:
        """Removes what is left of a folder: the objects that stand for folders."""
        if tf.io.gfile.isdir(f"{self.url}/{name}"):
            tf.io.gfile.rmtree(f"{self.url}/{name}")


def _register_s3() -> None:
    try:
        import tensorflow_io  # noqa: F401 - registers the file system
    except ImportError as error:
        raise ServingError(
            "TensorFlow reads and writes s3:// only with tensorflow-io, which is not installed.",
            "Install it: pip install 'taxiway[s3]'; in an image, add it to the image.",
        ) from error


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with open(content, "rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def publish(directory: ServingDirectory, name: str, store: ObjectFolder, config: ServingConfig) -> Published:
    """Makes a folder of an object store hold the directory's versions. Doing it again completes what was interrupted.

    Args:
        directory: The serving directory; its lock is held meanwhile.
        name: Under which the server knows the model.
        store: Where to.
        config: How many versions the server loads.

    Raises:
        ServingError: The store refuses, or gives back other bytes than it was given. What was complete there still is.
    """
    try:
        with directory.held():
            versions = [version for version in directory.versions() if version.digest]
            if not versions:
                return Published(store.url, (), ())
            there = complete(store)
            copied = tuple(v.number for v in versions if _copy(v, store, there.get(v.number)))
            _put_server_files(directory, name, store, config, [version.number for version in versions])
            removed = tuple(_remove_others(store, {version.number for version in versions}))
    except tf.errors.OpError as error:
        raise ServingError(
            f"{store.url} did not take the versions of {directory.base}: {error.message}.",
            "They are live in the serving directory. Mend the access, then run again: what is missing is copied.",
        ) from error
    return Published(store.url, copied, removed)


def complete(store: ObjectFolder) -> dict[int, Manifest]:
    """The versions in a store that have a manifest and every object that it lists, by number, ascending.

    Raises:
        ServingError: A manifest is damaged, or of a newer Taxiway.
    """
    names = store.names()
    found = {}
    for marker in sorted(name for name in names if name.endswith(f"/{MANIFEST_FILE}")):
        folder = marker.removesuffix(f"/{MANIFEST_FILE}")
        stored = _manifest(store, folder)
        if folder.isdecimal() and stored and all(f"{folder}/{file}" in names for file in stored.entries):
            found[int(folder)] = stored
    return dict(sorted(found.items()))


def differences(store: ObjectFolder, number: int) -> list[str]:
    """What a reader of the store gets otherwise than the version's manifest says, reading every byte."""
    stored = _manifest(store, str(number))
    if stored is None:
        return [f"{MANIFEST_FILE} is missing"]
    return _unlike(store, str(number), stored)


def _manifest(store: ObjectFolder, folder: str) -> Manifest | None:
    content = store.get(f"{folder}/{MANIFEST_FILE}")
    return manifest.parse(content, f"{store.url}/{folder}/{MANIFEST_FILE}") if content is not None else None


def _copy(version: Version, store: ObjectFolder, there: Manifest | None) -> bool:
    """Copies a version unless the store has it whole; returns whether it was copied."""
    listed = manifest.read_manifest(version.path)
    folder = str(version.number)
    if listed is None or there == listed:
        return False
    check_intact(version)
    _remove(store, folder)
    for file in sorted(listed.entries, key=lambda file: (file == MODEL_FILE, file)):
        store.put(f"{folder}/{file}", version.path / file)
    wrong = _unlike(store, folder, listed)
    if wrong:
        raise ServingError(
            f"{store.url}/{folder} is not read back as it was written: {'; '.join(wrong[:5])}.",
            "It got no manifest, so that no reader takes it for complete. Run again; look whether others write there.",
        )
    store.put(f"{folder}/{MANIFEST_FILE}", version.path / MANIFEST_FILE)
    return True


def _unlike(store: ObjectFolder, folder: str, listed: Manifest) -> list[str]:
    present = {name.removeprefix(f"{folder}/") for name in store.names(folder)} - {MANIFEST_FILE}
    found = [f"{file} is not in the manifest" for file in sorted(present - listed.entries.keys())]
    for file, (sha, _) in sorted(listed.entries.items()):
        if store.sha256(f"{folder}/{file}") != sha:
            found.append(f"{file} is {'of other bytes' if file in present else 'missing'}")
    return found


def _put_server_files(
    directory: ServingDirectory, name: str, store: ObjectFolder, config: ServingConfig, numbers: list[int]
) -> None:
    labels = {label: number for label, number in directory.state().labels.items() if number in numbers}
    text = server_files.models_config(name, store.url, numbers, labels, config, one_by_one=True)
    if store.get(f"server/{server_files.MODELS_CONFIG}") != text.encode():
        store.put(f"server/{server_files.MODELS_CONFIG}", text.encode())


def _remove_others(store: ObjectFolder, kept: set[int]) -> Iterator[int]:
    """Removes the versions that the directory has no more."""
    for folder in sorted(store.folders()):
        if folder.isdecimal() and int(folder) not in kept:
            _remove(store, folder)
            yield int(folder)


def _remove(store: ObjectFolder, folder: str) -> None:
    """Removes a version, its manifest first: from then on no reader takes it for complete."""
    for name in sorted(store.names(folder), key=lambda name: not name.endswith(MANIFEST_FILE)):
        store.remove(name)
    store.remove_folder(folder)


def main(job: dict[str, Any]) -> dict[str, Any]:
    """The child: `base`, `name`, `url`, `config` (a `ServingConfig` as JSON)."""
    config = ServingConfig.model_validate_json(job["config"])
    directory = ServingDirectory(job["base"], lock_timeout_seconds=config.lock_timeout_seconds)
    done = publish(directory, job["name"], ObjectFolder(job["url"]), config)
    return {"url": done.url, "copied": done.copied, "removed": done.removed}


if __name__ == "__main__":
    try:
        subprocesses.child_main(main)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))  # the result is written: what a library does at the end is not waited for
