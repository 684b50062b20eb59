"""Memory of processes, and which processes this one has started."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

_LISTING_SECONDS = 1.0
_CHANGE = 0.03
_READING_SECONDS = 1.0


class GroupMemory:
    """Memory of this process and all that it started, against one limit; a page that several share counts once.

    The sum of resident sizes counts shared pages for each who shares them. It is read first, because it costs little:
    proportional sizes are read only where it is above the limit, and then once a second or when it has changed.

    Args:
        limit_bytes: The limit.
    """

    def __init__(self, limit_bytes: float) -> None:
        self.limit_bytes = limit_bytes
        self._processes: list[psutil.Process] = []
        self._listed = self._read = float("-inf")
        self._resident = self._proportional = 0.0

    def is_exceeded(self) -> bool:
        """Whether all of them together take more than the limit."""
        now = time.monotonic()
        if now - self._listed >= _LISTING_SECONDS:
            self._processes, self._listed = list_processes(), now
        resident = measure_resident_bytes(self._processes)
        if resident <= self.limit_bytes:
            return False
        has_changed = abs(resident - self._resident) > _CHANGE * self._resident
        if has_changed or now - self._read >= _READING_SECONDS:
            self._resident, self._read = resident, now
            self._proportional = measure_proportional_bytes(self._processes)
        return self._proportional > self.limit_bytes

    def find_largest_child(self) -> int | None:
        """The process, of those that this one started itself, that takes the most memory; None where there is none."""
        children = psutil.Process().children()
        sizes = {child.pid: measure_proportional_bytes([child]) for child in children}
        return max(sizes, key=sizes.__getitem__, default=None)


def measure_resident_bytes(processes: Iterable[psutil.Process]) -> float:
    """Sum of the resident sizes: a page counts once for each process that shares it."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            total += process.memory_info().rss
    return total


def measure_proportional_bytes(processes: Iterable[psutil.Process]) -> float:
    """Sum of the proportional sizes: a page counts once; of the resident ones where the kernel tells no others."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):  # it ended meanwhile
            total += _read_size(process)
    return total


def _read_size(process: psutil.Process) -> float:
    try:
        sizes = process.memory_full_info()
    except (psutil.AccessDenied, PermissionError):
        return float(process.memory_info().rss)
    return float(getattr(sizes, "pss", sizes.rss))


def list_processes() -> list[psutil.Process]:
    """This process, its children, theirs, and so on."""
    own = psutil.Process()
    if not has_child_lists(own.pid):
        return [own, *own.children(recursive=True)]
    listed, waiting = [own], _list_children(own.pid)
    while waiting:
        pid = waiting.pop()
        waiting += _list_children(pid)
        with contextlib.suppress(psutil.Error):
            listed.append(psutil.Process(pid))
    return listed


def has_child_lists(pid: int) -> bool:
    """Whether the kernel lists the children of a process: Linux does where it was built so."""
    return Path(f"/proc/{pid}/task/{pid}/children").exists()


def _list_children(pid: int) -> list[int]:
    """The children that the threads of a process have started; none where it has ended."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                children += map(int, (thread / "children").read_text().split())
    return children
