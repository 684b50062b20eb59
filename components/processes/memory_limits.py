"""Memory that this process may use: the machine's, or less where a control group limits it (containers, pods, slurm).

Control groups are nested, and the limit of each applies. Both versions are read: 2 (`memory.max`) and 1
(`memory.limit_in_bytes`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

MOUNT, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_VERSIONS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Files with the limit and the usage, and the line of `memory.stat` with the cache, which is part of the usage."""


@dataclass(frozen=True)
class MemoryLimit:
    """What one control group allows, in bytes."""

    total_bytes: int
    free_bytes: int


def read_total_bytes() -> int:
    """The machine's memory, or the smallest limit."""
    return min([psutil.virtual_memory().total, *(limit.total_bytes for limit in read_limits())])


def read_available_bytes() -> int:
    """What may still be taken without swapping or being killed."""
    return min([psutil.virtual_memory().available, *(limit.free_bytes for limit in read_limits())])


def read_limits() -> Iterator[MemoryLimit]:
    """The limits of this process's control group and of every one above it."""
    for folder in dict.fromkeys(_list_group_folders()):
        for names in _VERSIONS:
            with contextlib.suppress(OSError, ValueError):  # no such file, or `max`
                limit, used = (int((folder / name).read_text()) for name in names[:2])
                yield MemoryLimit(limit, max(limit - used + _read_cache_bytes(folder, names[2]), 0))


def _list_group_folders() -> Iterator[Path]:
    """Folders of this process's group and of those above it.

    In a container the path may be the host's; then the mount itself is the group's folder.
    """
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.exists() else []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        for mount in (MOUNT / "memory", MOUNT) if controllers else (MOUNT, MOUNT / "unified"):
            folder = mount / path.lstrip("/")
            while folder != mount:
                yield folder
                folder = folder.parent
            yield mount


def _read_cache_bytes(folder: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        lines = (folder / "memory.stat").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)
    return 0
