"""Where root file systems are kept between runs, and how they are removed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

VARIABLE = "TAXIWAY_STACKS_CACHE"
KEPT_ROOTS = 2
FREE_BYTES = 8 << 30
MOUNT_TABLE = Path("/proc/self/mountinfo")


class CannotMakeRootError(Exception):
    """This machine has not what it takes; the text says what is missing."""


def find_cache() -> Path:
    """The folder that the environment names, else one of the user's cache. An empty variable is none."""
    place = os.environ.get(VARIABLE)
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "taxiway-stacks"
    return (Path(place) if place else default).expanduser().resolve()


def open_cache(checkout: Path) -> Path:
    """The folder, made where it is missing.

    Args:
        checkout: Where it must not lie: git, the checks and the copies that run inside would take it in.

    Raises:
        RuntimeError: It lies there.
        CannotMakeRootError: It cannot be made.
    """
    cache = find_cache()
    if cache.is_relative_to(checkout.resolve()):
        raise RuntimeError(f"{cache} lies in the checkout: {VARIABLE} has to name a folder outside of {checkout}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotMakeRootError(f"{cache} cannot be made ({error.strerror}); {VARIABLE} names another") from error
    return cache


def check_space(cache: Path) -> None:
    """Raises `CannotMakeRootError` where a root has no room."""
    free = shutil.disk_usage(cache).free
    if free < FREE_BYTES:
        raise CannotMakeRootError(f"{cache} has {free >> 30} GB free, {FREE_BYTES >> 30} GB are needed")


def remove_old_roots(cache: Path, stack: str) -> None:
    """Makes room for another root of a stack: the ones used last stay."""
    roots = sorted(cache.glob(f"{stack}-*"), key=lambda path: path.stat().st_mtime)
    for root in roots[: max(len(roots) - KEPT_ROOTS + 1, 0)]:
        remove_root(root)


def remove_root(root: Path) -> None:
    """Removes a root file system, unless something is mounted below it."""
    below = [mount for mount in _list_mounts() if mount.is_relative_to(root.resolve())]
    if below:
        raise RuntimeError(f"{root} is not removed: {', '.join(map(str, below))} is mounted there (umount it first)")
    shutil.rmtree(root)


def _list_mounts() -> list[Path]:
    """The table writes a blank in a name as `\\040`, and other signs likewise."""
    names = [line.split()[4] for line in MOUNT_TABLE.read_text().splitlines()]
    return [Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), name)) for name in names]
