"""Copies versions to an object store, for servers that read there: the order of writes replaces the rename.

The serving directory remains the authority for numbers, lock, labels, quarantine and retention. `copy_versions` makes a
folder of an object store hold the same versions::

    <url>/<number>/...                          the version's files; saved_model.pb after all others
    <url>/<number>/assets.extra/manifest.json   the last object: a version without it is not complete
    <url>/server/models.config                  names complete versions one by one; replaced when they are there

Every object is read back through the store before the manifest goes there. A publisher that was killed leaves a version
without a manifest, or one that `models.config` does not name; the next one completes it. What is weaker than a rename
is described in docs/serving.md.

`python -m taxiway.components.serving.versions.object_store` is a process of its own, which is ended when the
store takes too long, and which keeps the store's client and its threads out of the process that pushes or rolls back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from taxiway.components.errors import ServingError, StoreError
from taxiway.components.files.object_stores import ObjectFolder
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models import manifest
from taxiway.components.saved_models.manifest import MANIFEST_FILE, Manifest
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.version import Version, check_intact, check_readable

MODEL_FILE = "saved_model.pb"


@dataclass(frozen=True)
class PublishResult:
    """What a publication did.

    Attributes:
        url: The folder.
        copied: Versions that are there now and were not, or not whole.
        removed: Versions that are gone from there.
    """

    url: str
    copied: tuple[int, ...]
    removed: tuple[int, ...]


def copy_versions(directory: ServingDirectory, name: str, store: ObjectFolder, config: ServingConfig) -> PublishResult:
    """Makes a folder of an object store hold the directory's versions. Doing it again completes what was interrupted.

    Args:
        directory: The serving directory; its lock is held meanwhile.
        name: Name under which the server knows the model.
        store: Folder of the object store.
        config: Configuration, which says how many versions the server loads.

    Raises:
        ServingError: The store refuses, or gives back other bytes than it was given. What was complete there still is.
    """
    try:
        with directory.hold_lock():
            versions = [version for version in directory.list_versions() if version.digest or version.problem]
            for version in versions:  # its copy in the store, which may be whole, is not taken away
                check_readable(version)
            if not versions:
                return PublishResult(store.url, (), ())
            there = find_complete_versions(store)
            copied = tuple(v.number for v in versions if _copy_version(v, store, there.get(v.number)))
            _put_server_files(directory, name, store, config, [version.number for version in versions])
            removed = tuple(_remove_others(store, {version.number for version in versions}))
    except (StoreError, FileNotFoundError) as error:
        problem, remedy = (error.problem, error.remedy) if isinstance(error, StoreError) else (f"{error}.", "")
        raise ServingError(
            f"{store.url} did not take the versions of {directory.base}: {problem}",
            "They are live in the serving directory. Mend the access, then run again: what is missing is copied. "
            + remedy,
        ) from error
    return PublishResult(store.url, copied, removed)


def find_complete_versions(store: ObjectFolder) -> dict[int, Manifest]:
    """The versions in a store that have a manifest and every object that it lists, by number, ascending.

    Raises:
        ServingError: A manifest is damaged, or of a newer Taxiway.
    """
    names = store.list_names()
    complete = {}
    for marker in sorted(name for name in names if name.endswith(f"/{MANIFEST_FILE}")):
        folder = marker.removesuffix(f"/{MANIFEST_FILE}")
        stored = _read_stored_manifest(store, folder)
        if folder.isdecimal() and stored and all(f"{folder}/{file}" in names for file in stored.entries):
            complete[int(folder)] = stored
    return dict(sorted(complete.items()))


def find_stored_differences(store: ObjectFolder, number: int) -> list[str]:
    """What a reader of the store gets otherwise than the version's manifest says, reading every byte."""
    stored = _read_stored_manifest(store, str(number))
    if stored is None:
        return [f"{MANIFEST_FILE} is missing"]
    return _compare_objects(store, str(number), stored)


def _read_stored_manifest(store: ObjectFolder, folder: str) -> Manifest | None:
    content = store.read_object(f"{folder}/{MANIFEST_FILE}")
    return manifest.parse_manifest(content, f"{store.url}/{folder}/{MANIFEST_FILE}") if content is not None else None


def _copy_version(version: Version, store: ObjectFolder, there: Manifest | None) -> bool:
    """Copies a version unless the store has it whole; returns whether it was copied."""
    listed = manifest.read_manifest(version.path)
    folder = str(version.number)
    if listed is None or there == listed:
        return False
    check_intact(version)
    _remove_version(store, folder)
    for file in sorted(listed.entries, key=lambda file: (file == MODEL_FILE, file)):
        store.put_object(f"{folder}/{file}", version.path / file)
    wrong = _compare_objects(store, folder, listed)
    if wrong:
        raise ServingError(
            f"{store.url}/{folder} is not read back as it was written: {'; '.join(wrong[:5])}.",
            "It got no manifest, so that no reader takes it for complete. Run again; look whether others write there.",
        )
    store.put_object(f"{folder}/{MANIFEST_FILE}", version.path / MANIFEST_FILE)
    return True


def _compare_objects(store: ObjectFolder, folder: str, listed: Manifest) -> list[str]:
    present = {name.removeprefix(f"{folder}/") for name in store.list_names(folder)} - {MANIFEST_FILE}
    differences = [f"{file} is not in the manifest" for file in sorted(present - listed.entries.keys())]
    for file, (sha, _) in sorted(listed.entries.items()):
        if store.hash_object(f"{folder}/{file}") != sha:
            differences.append(f"{file} is {'of other bytes' if file in present else 'missing'}")
    return differences


def _put_server_files(
    directory: ServingDirectory, name: str, store: ObjectFolder, config: ServingConfig, numbers: list[int]
) -> None:
    labels = {label: number for label, number in directory.load_state().labels.items() if number in numbers}
    text = server_files.format_models_config(name, store.url, numbers, labels, config, one_by_one=True)
    if store.read_object(f"server/{server_files.MODELS_CONFIG}") != text.encode():
        store.put_object(f"server/{server_files.MODELS_CONFIG}", text.encode())


def _remove_others(store: ObjectFolder, kept: set[int]) -> Iterator[int]:
    """Removes the versions that the directory has no more."""
    for folder in sorted(store.list_folders()):
        if folder.isdecimal() and int(folder) not in kept:
            _remove_version(store, folder)
            yield int(folder)


def _remove_version(store: ObjectFolder, folder: str) -> None:
    """Removes a version, its manifest first, then its model: no reader takes it for complete, or loads it, any more."""
    first = [f"{folder}/{MANIFEST_FILE}", f"{folder}/{MODEL_FILE}"]
    names = store.list_names(folder)
    for name in [*(name for name in first if name in names), *sorted(names - set(first))]:
        store.remove_object(name)
    store.remove_folder(folder)


def main(job: dict[str, Any]) -> dict[str, Any]:
    """The child: `base`, `name`, `url`, `config` (a `ServingConfig` as JSON)."""
    config = ServingConfig.model_validate_json(job["config"])
    directory = ServingDirectory(job["base"], lock_timeout_seconds=config.lock_timeout_seconds)
    result = copy_versions(directory, job["name"], ObjectFolder(job["url"]), config)
    return {"url": result.url, "copied": result.copied, "removed": result.removed}


if __name__ == "__main__":
    subprocesses.run_child_main(main)
