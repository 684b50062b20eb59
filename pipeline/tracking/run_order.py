"""The order in which runs began. The clock alone does not give it: it may be set back between two runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from taxiway.components.files.durable_files import replace_file
from taxiway.pipeline.root import Root

ORDER_FILE = "order.txt"
"""In the folder of runs: a run's id a line, in the order in which they began."""


def append_run(root: Root, run_id: str) -> None:
    """Notes that a run begins. The caller holds the root's lock."""
    with (root.runs / ORDER_FILE).open("a", encoding="utf-8") as order:
        order.write(f"{run_id}\n")


def remove_last_run(root: Root, run_id: str) -> None:
    """Takes the last note back if it is this run's. The caller holds the root's lock."""
    noted = _read_order(root)
    if noted[-1:] == [run_id]:
        replace_file(root.runs / ORDER_FILE, "".join(f"{name}\n" for name in noted[:-1]))


def sort_newest_first(root: Root, began: Mapping[str, float]) -> list[str]:
    """Run ids, newest first.

    A run that is noted is never older than the one noted before it, whatever the clock said. Others (of an older
    Taxiway, of other tools) stand where their times put them.

    Args:
        root: Root of the runs.
        began: Start of each run, in seconds since 1970, by run id.
    """
    keys = {name: (time, -1, name) for name, time in began.items()}
    latest = 0.0
    for place, name in enumerate(_read_order(root)):
        if name in began:
            latest = max(latest, began[name])
            keys[name] = (latest, place, name)
    return sorted(began, key=keys.__getitem__, reverse=True)


def _read_order(root: Root) -> list[str]:
    with contextlib.suppress(OSError):
        return (root.runs / ORDER_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    return []
