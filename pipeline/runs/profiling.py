"""`taxiway run --profile`: the run's processes record what they do, and the run's folder gets the timeline."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from taxiway.components.processes import phases
from taxiway.pipeline.timeline import chrome_trace
from taxiway.pipeline.timeline.spans import SPANS_FILE, read_packages, read_spans


@dataclass(frozen=True)
class Profile:
    """What is recorded of a run.

    Attributes:
        folder: Folder of the run; None where nothing is recorded.
        started: Time at which the run began for its user, seconds since 1970: with its process, from the command line.
    """

    folder: Path | None
    started: float

    def describe_end(self) -> str:
        """Writes the trace up to now. Returns a sentence about it; empty where nothing is recorded."""
        if self.folder is None:
            return ""
        ended = time.time()
        phases.record_packages()
        spans = self.folder / SPANS_FILE
        trace = chrome_trace.build_trace(read_spans(spans), self.started, ended, read_packages(spans))
        file = chrome_trace.write_trace(trace, self.folder)
        covered = trace["otherData"]["covered_share"]
        return f"profile: {file}; phases explain {covered:.1%} of {ended - self.started:.1f} s"


@contextlib.contextmanager
def record_profile(folder: Path, called: float, *, enabled: bool, whole_process: bool) -> Iterator[Profile]:
    """Records the block where that is enabled.

    Args:
        folder: Folder of the run.
        called: Time at which the run was asked for, seconds since 1970.
        enabled: Whether anything is recorded.
        whole_process: Whether this process does nothing but this run: then its start belongs to the run.
    """
    started = psutil.Process().create_time() if whole_process else called
    if not enabled:
        yield Profile(None, started)
        return
    os.environ[phases.FILE_VARIABLE] = str(folder / SPANS_FILE)
    phases.write_span("import", "Python and the command line start", started, called)
    phases.write_span("read", "compare the inputs with the live version's", called, time.time())
    phases.time_imports()
    try:
        yield Profile(folder, started)
    finally:
        phases.stop_watching()
        del os.environ[phases.FILE_VARIABLE]
