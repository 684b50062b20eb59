"""Checkpoints that survive a kill at any moment: written aside, synced, renamed; checked by digest when read.

A checkpoint is a folder `step-000001200` with TensorFlow's own files and `meta.json`: everything that is no variable
(history, seconds, restarts), the fingerprint of data, configuration and code, and the digest of each file. The
position in the data, the dropout seeds and the epoch are functions of the step and the seed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

LOG = logging.getLogger(__name__)

META_FILE = "meta.json"
FINISHED_FILE = "finished"
VARIABLES = "variables"
_FOLDER = re.compile(r"step-(\d{9})")


class Checkpoints:
    """The checkpoints of one training run.

    Args:
        folder: Where they are; made if need be.
        variables: What a checkpoint holds: trackable objects by name.
        fingerprint: Of data, configuration and code.
        keep: The newest ones kept, beside the best.
        writes: Whether this process's files are the ones kept. In a cluster every worker must take part in saving, and
            only the chief's files count.
    """

    def __init__(
        self, folder: str | Path, variables: dict[str, Any], fingerprint: str = "", keep: int = 2, writes: bool = True
    ) -> None:
        self.folder, self.fingerprint, self.keep, self.writes = Path(folder), fingerprint, keep, writes
        self.checkpoint = tf.train.Checkpoint(**variables)
        self.folder.mkdir(parents=True, exist_ok=True)

    def save(self, step: int, meta: dict[str, Any], best_step: int | None = None) -> Path:
        """Writes the checkpoint of `step`, then removes those that retention does not keep."""
        final = self.folder / f"step-{step:09d}"
        aside = self.folder / f".{'tmp' if self.writes else 'worker'}-{step:09d}-{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        self.checkpoint.write(str(aside / VARIABLES))
        if not self.writes:
            shutil.rmtree(aside, ignore_errors=True)
            return final
        digests = {file.name: digest(file) for file in sorted(aside.iterdir())}
        content = {"version": 1, "step": step, "fingerprint": self.fingerprint, "digests": digests, **meta}
        (aside / META_FILE).write_text(json.dumps(content))
        for file in aside.iterdir():
            _sync(file)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        _sync(self.folder)
        self._retain(best_step)
        return final

    def steps(self) -> list[int]:
        """The steps of the checkpoints that are there, rising."""
        matches = (_FOLDER.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def restore_newest(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Restores the newest usable checkpoint.

        Returns:
            Its meta data, or None where there is none; and a sentence about each newer one that was not usable.
        """
        refused: list[str] = []
        for step in reversed(self.steps()):
            meta, problem = self.check(step)
            if meta is not None:
                self.restore(step)
                return meta, refused
            refused.append(f"Checkpoint step-{step:09d} is not used: {problem}.")
            LOG.warning(refused[-1])
        return None, refused

    def check(self, step: int) -> tuple[dict[str, Any] | None, str]:
        """The meta data of a checkpoint that is whole and of this run; else None and why not."""
        folder = self.folder / f"step-{step:09d}"
        try:
            meta: dict[str, Any] = json.loads((folder / META_FILE).read_text())
            for name, expected in meta["digests"].items():
                if digest(folder / name) != expected:
                    return None, f"{name} is damaged"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return None, f"it cannot be read ({error})"
        if meta.get("fingerprint") != self.fingerprint:
            return None, "its data, configuration or code were others"
        return meta, ""

    def restore(self, step: int) -> None:
        """Puts the variables of a checkpoint in place."""
        status = self.checkpoint.read(str(self.folder / f"step-{step:09d}" / VARIABLES))
        status.assert_existing_objects_matched().expect_partial()

    def read_into(self, step: int, **objects: Any) -> None:
        """Puts part of a checkpoint into other objects: a model trained by a cluster into a plain one."""
        status = tf.train.Checkpoint(**objects).read(str(self.folder / f"step-{step:09d}" / VARIABLES))
        status.assert_existing_objects_matched().expect_partial()

    def begin(self) -> None:
        """Clears what a run that finished left: a new run of the same job trains again."""
        if not (self.folder / FINISHED_FILE).exists() or not self.writes:
            return
        for step in self.steps():
            shutil.rmtree(self.folder / f"step-{step:09d}")
        (self.folder / FINISHED_FILE).unlink()

    def finish(self) -> None:
        """Says that the run was exported, so that none resumes it."""
        if self.writes:
            (self.folder / FINISHED_FILE).touch()

    def _retain(self, best_step: int | None) -> None:
        for step in self.steps()[: -self.keep]:
            if step != best_step:
                shutil.rmtree(self.folder / f"step-{step:09d}", ignore_errors=True)
        for leftover in self.folder.glob(".tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with open(file, "rb") as content:
        hasher = hashlib.sha256()
        while block := content.read(1 << 20):
            hasher.update(block)
        return hasher.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
