"""The largest resident memory of this process and its children, sampled."""

from __future__ import annotations

import contextlib
import threading

import psutil

SAMPLE_SECONDS = 0.25


class PeakMemory:
    """Samples resident memory in a thread. Pages shared between processes count once for each.

    Attributes:
        samples: How many were taken.
    """

    def __init__(self, sample_seconds: float = SAMPLE_SECONDS) -> None:
        self._process = psutil.Process()
        self._sample_seconds = sample_seconds
        self._peak = 0.0
        self.samples = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def restart(self) -> None:
        """Forgets the peak so far: a new node begins."""
        self._peak = self._now()

    def peak_mb(self) -> float:
        """The peak since `restart`, in 10^6 bytes."""
        self._peak = max(self._peak, self._now())
        return round(self._peak / 1e6, 1)

    def _watch(self) -> None:
        while not self._stop.wait(self._sample_seconds):
            self._peak = max(self._peak, self._now())
            self.samples += 1

    def _now(self) -> float:
        total = 0.0
        for process in (self._process, *self._process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):  # it ended meanwhile
                total += process.memory_info().rss
        return total
