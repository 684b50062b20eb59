"""The run of a watch: `taxiway run` in a process of its own, which outlives the watch.

The child holds a lock on `run.lock` by an open file that it inherits, from before its first line to its end. So a watch
that starts again knows of a run that goes on, and by the word in the run's `started_by` how it ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import StoreError, TaxiwayError
from taxiway.components.files.durable_files import make_folder
from taxiway.components.processes import subprocesses
from taxiway.pipeline.exit_codes import EXIT_LIVE
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history, run_record, unrecorded_pushes
from taxiway.pipeline.tracking.run_record import PushRecord, RunRecord

WATCH_LOCK, RUN_LOCK = "watch.lock", "run.lock"
RUN_MODULE = "taxiway.__main__"
POLL_SECONDS = 0.5


class AlreadyWatchedError(TaxiwayError):
    """Another process watches the same model under the same root."""


@dataclass(frozen=True)
class RunEnding:
    """How a run of a watch ended.

    Attributes:
        exit_code: Exit code; negative: the signal that ended it. None: nobody knows, its process ended without a word.
        record: The run's record; None where no run was begun.
    """

    exit_code: int | None
    record: RunRecord | None

    @property
    def is_unchanged(self) -> bool:
        """Whether the live version was found to come from the same inputs."""
        return self.exit_code == EXIT_LIVE and self.record is None

    @property
    def push(self) -> PushRecord | None:
        """The push that came of it, of a live version or a candidate, however the run ended then; None: none did."""
        push = self.record.push if self.record else None
        return push if push and (push.is_live or push.candidate) else None


@contextlib.contextmanager
def hold_watch_lock(folder: Path) -> Iterator[None]:
    """Holds the lock of the one watch of a model; the system lets go of it when this process ends.

    Raises:
        AlreadyWatchedError: Another process holds it.
    """
    make_folder(folder)
    descriptor = os.open(folder / WATCH_LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _try_lock(descriptor):
            raise AlreadyWatchedError(
                f"Another `taxiway watch` is at work in {folder}.", "It does what is due; see it with --status."
            )
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_running(folder: Path) -> bool:
    """Whether a run that a watch began still goes on."""
    if not (folder / RUN_LOCK).exists():
        return False
    descriptor = os.open(folder / RUN_LOCK, os.O_RDWR)
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def wait_until_ended(folder: Path) -> None:
    """Waits for a run that an earlier watch began."""
    while is_running(folder):
        time.sleep(POLL_SECONDS)


def run_child(folder: Path, arguments: Sequence[str], *, to_stderr: bool) -> int:
    """Runs a command of ours to its end.

    Args:
        folder: The watch's folder.
        arguments: What is typed after `taxiway`.
        to_stderr: Whether what it prints goes to standard error.

    Returns:
        The exit code; negative: the signal that ended it.

    Raises:
        KeyboardInterrupt: This process was told to end: so was the child, which has ended.
    """
    descriptor = os.open(folder / RUN_LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        child = subprocess.Popen(
            subprocesses.make_command(RUN_MODULE, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=2 if to_stderr else None,
            pass_fds=(descriptor,),
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the run in good order
        )
    finally:
        os.close(descriptor)  # the child's copy keeps the lock
    try:
        return child.wait()
    except KeyboardInterrupt:
        _end_in_good_order(child)
        raise


def _end_in_good_order(child: subprocess.Popen[bytes]) -> None:
    """The run writes its record and training its checkpoint; a second signal ends the wait, not the run."""
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGTERM)
    child.wait()


def find_ending(root: Root, attempt_id: str, exit_code: int | None) -> RunEnding:
    """How an attempt's run ended. A push that only the serving directory knows is in its record.

    Args:
        root: The root.
        attempt_id: Word in the run's `started_by`.
        exit_code: What its process returned; None where another watch started it.
    """
    record = _find_record(root, attempt_id)
    if record is None:
        return RunEnding(exit_code, None)
    [record] = unrecorded_pushes.add_pushes(root, [record])
    return RunEnding(record.exit_code if exit_code is None else exit_code, record)


def _find_record(root: Root, attempt_id: str) -> RunRecord | None:
    for folder in sorted(root.runs.glob("*"), reverse=True):
        with contextlib.suppress(StoreError):
            record = run_record.read_summary(folder)
            if record and attempt_id in record.started_by.split():
                return history.mark_interrupted(record) if record.state == "running" else record
    return None
