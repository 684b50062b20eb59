"""Checkpoints that survive a kill at any moment: written aside, synced, renamed; checked by digest when read.

A checkpoint is a folder `step-000001200` with TensorFlow's own files and `meta.json`: what is not a variable
(history, seconds, restarts), the fingerprint of data, configuration and code, and the digest of each file. The
position in the data, the dropout seeds and the epoch are functions of the step and the seed.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from taxiway.components.files.digests import hash_file
from taxiway.components.files.durable_files import sync_path
from taxiway.components.refusal import Refusal

LOG = logging.getLogger(__name__)

META_FILE = "meta.json"
FINISHED_FILE = "finished"
VARIABLES = "variables"
_FOLDER = re.compile(r"step-(\d{9})")


class Checkpoints:
    """The checkpoints of one training run.

    Args:
        folder: The folder of the checkpoints; made if need be.
        variables: The trackable objects that a checkpoint holds, by name.
        fingerprint: The fingerprint of data, configuration and code.
        keep: The number of the newest ones that are kept, beside the best.
        process: The number of this process. In a cluster every worker must take part in saving, and only the files of
            the chief, which is 0, are kept.
        device: The device whose file system holds the folder; empty: that of each variable. With variables on parameter
            servers it is the chief's.
    """

    def __init__(
        self,
        folder: str | Path,
        variables: dict[str, Any],
        fingerprint: str = "",
        keep: int = 2,
        process: int = 0,
        device: str = "",
    ) -> None:
        self.folder, self.fingerprint, self.keep, self.writes = Path(folder), fingerprint, keep, process == 0
        # One name a process, not one a write: workers may share the folder, and what a killed one left is found again.
        self.aside = self.folder / f".aside-{process}"
        self.options = tf.train.CheckpointOptions(experimental_io_device=device or None)
        self.checkpoint = tf.train.Checkpoint(**variables)
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.aside, ignore_errors=True)

    def write_checkpoint(self, step: int, meta: dict[str, Any], best_step: int | None = None) -> Path:
        """Writes the checkpoint of `step`, then removes those that retention does not keep."""
        final = self.locate_step(step)
        aside = self.aside
        shutil.rmtree(aside, ignore_errors=True)
        self.checkpoint.write(str(aside / VARIABLES), self.options)
        if not self.writes:
            shutil.rmtree(aside, ignore_errors=True)
            return final
        digests = {file.name: hash_file(file) for file in sorted(aside.iterdir())}
        content = {"version": 1, "step": step, "fingerprint": self.fingerprint, "digests": digests, **meta}
        (aside / META_FILE).write_text(json.dumps(content))
        for file in aside.iterdir():
            sync_path(file)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        sync_path(self.folder)
        self._remove_old(best_step)
        return final

    def list_steps(self) -> list[int]:
        """The steps of the checkpoints that are there, rising."""
        matches = (_FOLDER.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def find_newest(self) -> tuple[int, dict[str, Any] | None, list[str]]:
        """The newest usable checkpoint.

        Returns:
            Its step and meta data, or 0 and None where there is none; and a sentence about each newer one that is not
            usable.
        """
        refused: list[str] = []
        for step in reversed(self.list_steps()):
            meta = self.check_step(step)
            if not isinstance(meta, Refusal):
                return step, meta, refused
            refused.append(f"Checkpoint step-{step:09d} is not used: {meta}.")
            LOG.warning(refused[-1])
        return 0, None, refused

    def check_step(self, step: int) -> dict[str, Any] | Refusal:
        """The meta data of a checkpoint that is whole and of this run; else why it is not used."""
        folder = self.locate_step(step)
        try:
            meta: dict[str, Any] = json.loads((folder / META_FILE).read_text())
            for name, expected in meta["digests"].items():
                if hash_file(folder / name) != expected:
                    return Refusal(f"{name} is damaged")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return Refusal(f"it cannot be read ({error})")
        if meta.get("fingerprint") != self.fingerprint:
            return Refusal("it was made from other data, configuration or code")
        return meta

    def locate_step(self, step: int) -> Path:
        """The folder of a checkpoint."""
        return self.folder / f"step-{step:09d}"

    def restore_folder(self, folder: Path) -> dict[str, Any]:
        """Puts the variables of a checkpoint in place. Returns its meta data."""
        status = self.checkpoint.read(str(folder / VARIABLES), self.options)
        status.assert_existing_objects_matched().expect_partial()
        meta: dict[str, Any] = json.loads((folder / META_FILE).read_text())
        return meta

    def read_into(self, step: int, **objects: Any) -> None:
        """Puts part of a checkpoint into other objects: a model trained by a cluster into a plain one."""
        status = tf.train.Checkpoint(**objects).read(str(self.locate_step(step) / VARIABLES))
        status.assert_existing_objects_matched().expect_partial()

    def clear_finished(self) -> None:
        """Removes the checkpoints of a run that finished: a new run of the same job trains again."""
        if not (self.folder / FINISHED_FILE).exists() or not self.writes:
            return
        for step in self.list_steps():
            shutil.rmtree(self.locate_step(step))
        (self.folder / FINISHED_FILE).unlink()

    def mark_finished(self) -> None:
        """Marks the run as exported, so that no later run resumes it."""
        if self.writes:
            (self.folder / FINISHED_FILE).touch()

    def _remove_old(self, best_step: int | None) -> None:
        for step in self.list_steps()[: -self.keep]:
            if step != best_step:
                shutil.rmtree(self.locate_step(step), ignore_errors=True)
