"""The most memory of this process and its children, sampled. A page that several of them share counts once.

Children are forked from a parent that has imported TensorFlow, so that the sum of resident sizes is half as much
again as what they take. The kernel's proportional sizes divide a shared page by those who share it, but it walks all
pages for them: tens of milliseconds for a run. So resident sizes are read four times a second, and proportional ones
where those have grown, and every three seconds, since a child that writes to a shared page makes a copy that no
resident size shows. The tree of processes is read once a second, on Linux from the kernel's own lists of children,
where psutil reads every process there is. Where the kernel knows no proportional sizes, as macOS' does not, resident
ones count.
"""

from __future__ import annotations

import threading
import time

import psutil

from taxiway.components.processes.process_memory import (
    list_processes,
    measure_proportional_bytes,
    measure_resident_bytes,
)

SAMPLE_SECONDS = 0.25
SAMPLES_PER_LISTING = 4
SAMPLES_PER_READING = 12
GROWTH = 1.03
"""Growth of the resident sizes with which the proportional ones are read again."""


class PeakMemory:
    """Samples memory in a thread.

    Attributes:
        samples: Number of samples taken.
    """

    def __init__(self, sample_seconds: float = SAMPLE_SECONDS) -> None:
        self._sample_seconds = sample_seconds
        self._peak = 0.0
        self.samples = 0
        self._processes: list[psutil.Process] = []
        self._listed = float("-inf")
        self._resident = 0.0
        self._read_at = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_memory, name="memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def reset_peak(self) -> None:
        """Forgets the peak so far: a new node begins."""
        self._peak = self._read_proportional(list_processes())

    def peak_mb(self) -> float:
        """The peak since `reset_peak`, in 10^6 bytes."""
        self._peak = max(self._peak, self._read_proportional(list_processes()))
        return round(self._peak / 1e6, 1)

    def _sample_memory(self) -> None:
        while not self._stop.wait(self._sample_seconds):
            now = time.monotonic()
            if now - self._listed >= SAMPLES_PER_LISTING * self._sample_seconds:
                self._processes, self._listed = list_processes(), now
            if self._has_grown() or self.samples - self._read_at >= SAMPLES_PER_READING:
                self._peak = max(self._peak, self._read_proportional(self._processes))
            self.samples += 1

    def _has_grown(self) -> bool:
        return measure_resident_bytes(self._processes) > GROWTH * self._resident

    def _read_proportional(self, processes: list[psutil.Process]) -> float:
        self._resident, self._read_at = measure_resident_bytes(processes), self.samples
        return measure_proportional_bytes(processes)
