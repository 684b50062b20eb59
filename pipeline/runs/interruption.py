"""SIGINT and SIGTERM end a run in good order: the run's record says so, and no child writes on."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator

import psutil

from taxiway.pipeline.exit_codes import EXIT_INTERRUPTED, EXIT_TERMINATED
from taxiway.pipeline.tracking.run_record import RunRecord


class RunInterrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM. Passes through TFX, which catches `Exception` only."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = EXIT_TERMINATED if number == signal.SIGTERM else EXIT_INTERRUPTED


class StopSignal:
    """Handler of SIGINT and SIGTERM: raises `RunInterrupted` in the main thread.

    Where a library swallows the exception (in a callback, say), the run must still end: `check_stopped` raises it again
    before the next node. A second signal right after the first one is ignored, so that clean-up is not interrupted.
    """

    PATIENCE_SECONDS = 5.0

    def __init__(self) -> None:
        self.error: RunInterrupted | None = None
        """The first interruption; None where there was none."""
        self._raised = 0.0

    def handle_signal(self, number: int, _: object) -> None:
        """The signal handler."""
        if self.error and time.monotonic() - self._raised < self.PATIENCE_SECONDS:
            return
        self.error = self.error or RunInterrupted(number)
        self._raised = time.monotonic()
        raise self.error

    def check_stopped(self) -> None:
        """Raises the interruption again that a library has swallowed."""
        if self.error:
            raise self.error


@contextlib.contextmanager
def catch_signals() -> Iterator[StopSignal]:
    """Sends SIGINT and SIGTERM to a `StopSignal` while the block runs; only the main thread can catch them."""
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.handle_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_if_interrupted(run: RunRecord) -> None:
    """Ends the process of an interrupted run: everything is written, and Beam's threads could hold it for long."""
    if run.state == "interrupted":
        kill_children()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(run.exit_code or EXIT_INTERRUPTED)


def kill_children(spared: Collection[int] = ()) -> None:
    """Kills the processes that this one has started, but for those with the spared process ids."""
    for child in psutil.Process().children(recursive=True):
        if child.pid not in spared:
            with contextlib.suppress(psutil.Error):
                child.kill()
