"""The monitor's newest verdicts in a server's `/metrics`, read when they are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.core import Metric

from taxiway.components.serving.config import MONITOR_FOLDER
from taxiway.components.serving.versions.verdict_gauges import VersionGauges, make_families, read_gauges

MOST_VERSIONS = 20


class VerdictMetrics:
    """The gauges of one serving directory. A file that has not changed since the last look is not read again."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._read: dict[str, tuple[tuple[int, int], VersionGauges | None]] = {}

    def collect_metrics(self) -> Iterable[Metric]:
        """The gauges of the newest versions that are there; damaged files and foreign names show nothing."""
        found = {name: self._read_file(name) for name in self._list_files()}
        self._read = {name: entry for name, entry in found.items() if entry}
        shown = (gauges.list_gauges() for _, gauges in self._read.values() if gauges)
        return make_families(itertools.chain.from_iterable(shown))

    def _list_files(self) -> list[str]:
        """Those of versions that are still there, newest first."""
        try:
            names = [file.name for file in (self._base / MONITOR_FOLDER).iterdir()]
        except OSError:
            return []
        numbers = [name.removesuffix(".json") for name in names if name.endswith(".json")]
        present = [number for number in numbers if number.isdecimal() and (self._base / number).is_dir()]
        return [f"{number}.json" for number in sorted(present, key=int, reverse=True)[:MOST_VERSIONS]]

    def _read_file(self, name: str) -> tuple[tuple[int, int], VersionGauges | None] | None:
        file = self._base / MONITOR_FOLDER / name
        try:
            stat = file.stat()
        except OSError:
            return None
        state, known = (stat.st_mtime_ns, stat.st_ino), self._read.get(name)
        return known if known and known[0] == state else (state, read_gauges(file))
