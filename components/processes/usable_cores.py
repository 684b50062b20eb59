"""The processor cores that this process may use."""

from __future__ import annotations

import os


def count_usable_cores() -> int:
    """Cores that the scheduler gives this process (`taskset`, a container's cpuset); elsewhere than on Linux, all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
