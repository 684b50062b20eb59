"""What the emulator keeps under its folder: the object store, the artifacts' numbers, the cache."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from taxiway.components.files.durable_files import replace_file
from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.errors import RefusedError

SCHEMES = ("gs", "s3", "minio")
_BUCKET = re.compile(r"(^[a-z][a-z0-9]+:///?)([^/?]+)(/[^?]*)?(\?.+)?$")

Artifact = dict[str, Any]


@dataclass(frozen=True)
class TaskOutputs:
    """What a task has written, as the backend keeps it.

    Attributes:
        artifacts: Artifacts by key; `taxiway.pipeline.emulator.releases` says what is kept of each.
        parameters: Output parameters by name.
    """

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)


def check_pipeline_root(root: str) -> str:
    """A pipeline root that the launcher can open (`ParseBucketPathToConfig`).

    Raises:
        RefusedError: It is none.
    """
    match = _BUCKET.match(root)
    if match is None:
        problem = f'parse bucket config failed: unrecognized pipeline root format: "{root}"'
        raise RefusedError(problem, errors.OBJECT_STORE)
    if match[1] not in {f"{scheme}://" for scheme in SCHEMES}:
        raise RefusedError(f'parse bucket config failed: unsupported Cloud bucket: "{root}"', errors.OBJECT_STORE)
    return root


class ObjectStore:
    """Buckets as folders: `gs://bucket/key` is `<folder>/gs/bucket/key`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_path(self, uri: str) -> Path:
        """Where an object, or everything under a prefix, is kept."""
        scheme, _, rest = uri.partition("://")
        return self._folder / scheme / rest

    def download(self, uri: str, local: Path) -> None:
        """Copies an object or a prefix to a file or folder; nothing where there is none."""
        self._copy_tree(self.find_path(uri), local)

    def upload(self, local: Path, uri: str) -> None:
        """Copies a file or folder over whatever the URI holds; components need not write their outputs."""
        self._copy_tree(local, self.find_path(uri))

    @staticmethod
    def _copy_tree(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy2(source, target)


class EmulatorState:
    """The metadata store and the cache, in one file.

    The cache knows artifacts by their ids in the metadata store, so numbers must outlive a run.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self._numbers: dict[str, int] = {kind: content.get(kind, 0) for kind in ("artifacts", "executions")}
        self._cache: dict[str, dict[str, Any]] = content.get("cache", {})

    def take_number(self, kind: str = "artifacts") -> int:
        """The next number of an artifact or of an execution."""
        self._numbers[kind] += 1
        return self._numbers[kind]

    def find_cached(self, fingerprint: str) -> TaskOutputs | None:
        """The outputs of an earlier execution of this fingerprint."""
        return TaskOutputs(**self._cache[fingerprint]) if fingerprint in self._cache else None

    def remember_outputs(self, fingerprint: str, outputs: TaskOutputs) -> None:
        """Outputs for later executions; an empty fingerprint is not cached."""
        if fingerprint:
            self._cache[fingerprint] = asdict(outputs)

    def write_file(self) -> None:
        """Writes the file; whole or not at all."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._file, json.dumps({**self._numbers, "cache": self._cache}))
