"""What the emulator keeps under its folder: the object store, the artifacts' numbers, the cache."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from pipeline.emulator import refusals
from pipeline.emulator.refusals import RefusedError

SCHEMES = ("gs", "s3", "minio")
_BUCKET = re.compile(r"(^[a-z][a-z0-9]+:///?)([^/?]+)(/[^?]*)?(\?.+)?$")

Artifact = dict[str, Any]


def check_root(root: str) -> str:
    """A pipeline root that the launcher can open (`ParseBucketPathToConfig`).

    Raises:
        RefusedError: It is none.
    """
    match = _BUCKET.match(root)
    if match is None:
        problem = f'parse bucket config failed: unrecognized pipeline root format: "{root}"'
        raise RefusedError(problem, refusals.OBJECT_STORE)
    if match[1] not in {f"{scheme}://" for scheme in SCHEMES}:
        raise RefusedError(f'parse bucket config failed: unsupported Cloud bucket: "{root}"', refusals.OBJECT_STORE)
    return root


class ObjectStore:
    """Buckets as folders: `gs://bucket/key` is `<folder>/gs/bucket/key`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, uri: str) -> Path:
        """Where an object, or everything under a prefix, is kept."""
        scheme, _, rest = uri.partition("://")
        return self._folder / scheme / rest

    def download(self, uri: str, local: Path) -> None:
        """Copies an object or a prefix to a file or folder; nothing where there is none."""
        self._copy(self.path(uri), local)

    def upload(self, local: Path, uri: str) -> None:
        """Copies a file or folder over whatever the URI holds; components need not write their outputs."""
        self._copy(local, self.path(uri))

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy2(source, target)


class State:
    """The metadata store and the cache, in one file.

    The cache knows artifacts by their numbers in the metadata store, so numbers must outlive a run.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self._artifacts: int = content.get("artifacts", 0)
        self._cache: dict[str, dict[str, Artifact]] = content.get("cache", {})

    def number(self) -> str:
        """The next artifact's number."""
        self._artifacts += 1
        return str(self._artifacts)

    def cached(self, fingerprint: str) -> dict[str, Artifact] | None:
        """The outputs of an earlier execution of this fingerprint."""
        return self._cache.get(fingerprint)

    def remember(self, fingerprint: str, outputs: dict[str, Artifact]) -> None:
        """Outputs for later executions; an empty fingerprint is not cached."""
        if fingerprint:
            self._cache[fingerprint] = outputs

    def save(self) -> None:
        """Writes the file; whole or not at all."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({"artifacts": self._artifacts, "cache": self._cache}), encoding="utf-8")
        temporary.replace(self._file)
