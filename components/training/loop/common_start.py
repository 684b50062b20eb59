"""Before the first step of a cluster: every process begins with the chief's checkpoint, or none begins.

Only the chief writes checkpoints. Where the hosts share a disk all of them read the same files; where they do not, the
chief sends its files over the collective operation by which the steps are summed, so that no other way is needed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from taxiway.components.errors import TrainingError
from taxiway.components.training.distribution.strategies import Replicas
from taxiway.components.training.loop.checkpoints import Checkpoints

LOG = logging.getLogger(__name__)

PART_BYTES = 1 << 22
"""Of a file that is sent at once."""


def restore_common_checkpoint(checkpoints: Checkpoints, replicas: Replicas) -> tuple[dict[str, Any] | None, list[str]]:
    """Restores the chief's newest usable checkpoint in every process.

    Returns:
        Its meta data, or None where the chief has none; and a sentence about each one that is not used.
    """
    step, meta, refused = checkpoints.find_newest()
    steps = [round(value) for value in replicas.gather_values(step)]
    same = len(set(map(round, replicas.gather_values(number_content(meta))))) == 1
    refused += _describe_unused(steps) if replicas.chief else []
    if not steps[0]:
        return None, refused  # what a worker has does not count
    if not same:
        return _restore_sent(checkpoints, replicas, steps[0]), refused
    return checkpoints.restore_folder(checkpoints.locate_step(step)), refused


def number_content(meta: Mapping[str, Any] | None) -> int:
    """A number of the files of a checkpoint; 0 for none. Equal files have equal numbers."""
    return number_text(json.dumps(meta["digests"], sort_keys=True)) if meta else 0


def number_text(text: str) -> int:
    """A number of 40 bits of a text: what `gather_values` carries whole."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:10], 16)


def number_variables(variables: Iterable[Any]) -> int:
    """A number of 40 bits of the values of variables."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(variable.numpy().tobytes())
    return int(digest.hexdigest()[:10], 16)


def _describe_unused(steps: list[int]) -> list[str]:
    """What workers have that the chief has not: training goes on from the chief's all the same."""
    return [
        f"Worker {worker} has a checkpoint of step {step}; the chief's counts, which is of step {steps[0]}."
        for worker, step in enumerate(steps)
        if step > steps[0]
    ]


def _restore_sent(checkpoints: Checkpoints, replicas: Replicas, step: int) -> dict[str, Any]:
    """The chief sends its checkpoint; every process restores its own copy, and only the chief keeps one."""
    kept = checkpoints.locate_step(step)
    if replicas.chief:
        LOG.info("the checkpoint of step %d is sent to the other workers, which do not have it", step)
        _send_files(replicas, kept)
        folder = kept
    else:
        folder = checkpoints.aside
        shutil.rmtree(folder, ignore_errors=True)
        _receive_files(replicas, folder)
    try:
        meta: dict[str, Any] = checkpoints.restore_folder(folder)
    finally:
        if not replicas.chief:
            shutil.rmtree(folder, ignore_errors=True)
    return meta


def _send_files(replicas: Replicas, folder: Path) -> None:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    sizes = {file.name: file.stat().st_size for file in files}
    replicas.broadcast_bytes(json.dumps(sizes).encode())
    for file in files:
        with file.open("rb") as content:
            for _ in range(0, sizes[file.name], PART_BYTES):
                replicas.broadcast_bytes(content.read(PART_BYTES))


def _receive_files(replicas: Replicas, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, size in json.loads(replicas.broadcast_bytes(b"")).items():
        with (folder / Path(name).name).open("wb") as out:
            _receive_content(replicas, out, size)


def _receive_content(replicas: Replicas, out: BinaryIO, size: int) -> None:
    for _ in range(0, size, PART_BYTES):
        out.write(replicas.broadcast_bytes(b""))


def check_agreement(replicas: Replicas, values: Mapping[str, int], folder: str) -> None:
    """Every process begins with the same values, or none begins.

    Args:
        replicas: The replicas; in one process there is nothing to compare.
        values: Whole numbers of up to 48 bits, by what they are.
        folder: The folder of this process's checkpoints.

    Raises:
        TrainingError: they differ, in every process alike, so that none waits for another.
    """
    for what, own in values.items():
        gathered = [round(value) for value in replicas.gather_values(own)]
        if len(set(gathered)) > 1:
            words = ", ".join(f"worker {worker}: {value}" for worker, value in enumerate(gathered))
            raise TrainingError(
                f"The workers do not begin with the same {what} ({words}); together they would train a wrong model.",
                f"Give every worker the same files and code ({folder} holds this worker's checkpoints), and start all "
                "of them again.",
            )
