"""The monitor's newest verdict on each version as gauges in the serving directory, where a server finds them.

`taxiway monitor` writes `monitor/<version>.json` after each verdict; the embedded server shows them in its `/metrics`.
A server knows no root, and may see nothing but this directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from pydantic import Field, TypeAdapter, ValidationError

from taxiway.components.files.durable_files import make_folder, replace_file
from taxiway.components.serving.config import MONITOR_FOLDER

PREFIX = "taxiway_monitor_"
MOST_BYTES = 4_000_000
MOST_SERIES = 5000
_FRAME_BYTES = 1000
"""Enough for what a file holds beside the series."""


@dataclass(frozen=True)
class GaugeValue:
    """One series of one gauge.

    Attributes:
        name: Name of the gauge.
        words: What it is.
        labels: Name and value of each label.
        value: Its value.
    """

    name: Annotated[str, Field(pattern=rf"^{PREFIX}[a-z_]+$")]
    words: str
    labels: tuple[tuple[Annotated[str, Field(pattern="^[a-z_]+$")], str], ...]
    value: float


@dataclass(frozen=True)
class WindowGauges:
    """The gauges of a verdict.

    Attributes:
        window_end, created: Of the verdict; seconds since 1970.
        gauges: Its gauges.
    """

    window_end: float
    created: float
    gauges: tuple[GaugeValue, ...]


@dataclass(frozen=True)
class VersionGauges(WindowGauges):
    """The gauges of a version's newest verdict.

    Attributes:
        labelled: What only labels tell, of the newest verdict with labels: they come late, so that the newest verdict
            of all has none.
    """

    labelled: WindowGauges | None = None

    def list_gauges(self) -> tuple[GaugeValue, ...]:
        """All that are shown."""
        return self.gauges + (self.labelled.gauges if self.labelled else ())


_READER = TypeAdapter(VersionGauges)
_Gauges = TypeVar("_Gauges", bound=WindowGauges | None)


def write_gauges(base: Path, version: int, gauges: VersionGauges) -> bool:
    """Replaces a version's gauges, but by those of an older window; says whether it did.

    Args:
        base: The serving directory.
        version: Number of the version.
        gauges: Gauges; of very many the first are kept: `MOST_SERIES`, and what fits into `MOST_BYTES`.

    Raises:
        OSError: The directory cannot be written.
    """
    file = base / MONITOR_FOLDER / f"{version}.json"
    present = read_gauges(file)
    newest: WindowGauges = gauges
    labelled = gauges.labelled
    if present:
        newest, labelled = _choose_newer(present, gauges), _choose_newer(present.labelled, gauges.labelled)
        if newest is present and labelled is present.labelled:
            return False
    make_folder(file.parent)
    replace_file(file, json.dumps(_fit_gauges(newest, labelled)), sync=False)
    return True


def _choose_newer(present: _Gauges, found: _Gauges) -> _Gauges:
    """The gauges that are there where they are of a newer window, or no others were found."""
    if present is None or found is None:
        return present or found
    return present if (present.window_end, present.created) > (found.window_end, found.created) else found


def _fit_gauges(newest: WindowGauges, labelled: WindowGauges | None) -> dict[str, Any]:
    """As they are written: those of labels, which are few, before those of columns."""
    room, series = MOST_BYTES - _FRAME_BYTES, MOST_SERIES
    content: dict[str, Any] = {"labelled": None}
    for place, window in (("labelled", labelled), ("newest", newest)):
        if window:
            kept, size = _cut_gauges(window.gauges[:series], room)
            content[place] = {"window_end": window.window_end, "created": window.created, "gauges": kept}
            room, series = room - size, series - len(kept)
    return {**content.pop("newest"), **content}


def _cut_gauges(gauges: Iterable[GaugeValue], room: int) -> tuple[list[dict[str, Any]], int]:
    """The first gauges that fit into so many bytes, and their bytes."""
    kept, size = list[dict[str, Any]](), 0
    for each in map(asdict, gauges):
        more = len(json.dumps(each)) + 2  # a comma and a space
        if size + more > room:
            break
        kept.append(each)
        size += more
    return kept, size


def remove_gauges(base: Path, versions: Iterable[int]) -> None:
    """Removes the gauges of all but some versions."""
    kept = {f"{version}.json" for version in versions}
    for file in (base / MONITOR_FOLDER).glob("*.json"):
        if file.name not in kept:
            file.unlink(missing_ok=True)


def read_gauges(file: Path) -> VersionGauges | None:
    """The gauges in a file; None where there are none, or none that can be read."""
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        return _READER.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def make_families(gauges: Iterable[GaugeValue]) -> Iterator[Metric]:
    """Prometheus' own form of the gauges of one or several versions: it wants a gauge's series together, each once."""
    merged: dict[str, dict[tuple[tuple[str, str], ...], GaugeValue]] = {}
    for each in gauges:
        merged.setdefault(each.name, {})[each.labels] = each
    for name, by_labels in merged.items():
        series = list(by_labels.values())
        labels = [label for label, _ in series[0].labels]
        family = GaugeMetricFamily(name, series[0].words, labels=labels)
        for each in series:
            if [label for label, _ in each.labels] == labels:  # else a file was written by something else
                family.add_metric([value for _, value in each.labels], each.value)
        yield family
