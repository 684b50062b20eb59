"""A metric of every version that was pushed, with its interval where one is known: the lines over versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taxiway.components.serving.versions.directory import Version
from taxiway.pipeline.report import charts
from taxiway.pipeline.report.words import name_key
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.kept_scores import read_scores
from taxiway.pipeline.tracking.run_record import OVERALL, RunRecord

RECORDED = "recorded"
"""Measured by an Evaluator of which nothing is known but its numbers, which the version carries."""
SOURCES = {
    "OptimizedEvaluator": "as served (OptimizedEvaluator)",
    "Evaluator": "as trained (Evaluator)",
    RECORDED: "as recorded at the push",
}
"""What was measured, in the words of the legend. The first two are of one run, on the same rows."""


@dataclass(frozen=True)
class Measurement:
    """What one Evaluator measured of a version before its push.

    Attributes:
        values: Metrics over the whole judging split by name.
        limits: 95 % intervals `(low, high)` by name, where they are known.
    """

    values: Mapping[str, float]
    limits: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class VersionQuality:
    """What was measured of one version before its push.

    Attributes:
        version: Its number.
        run: Id of the run that made it.
        time: Its push, seconds since 1970.
        measured: Measurements by their source, a key of `SOURCES`.
        note: What became of it: `live`, `quarantined`, a rollback, `taken away`, or nothing.
    """

    version: int
    run: str
    time: float
    measured: Mapping[str, Measurement]
    note: str = ""


def list_version_quality(
    root: Root, model: str, versions: Iterable[Version], records: Iterable[RunRecord]
) -> list[VersionQuality]:
    """The versions in the order of their numbers, those that retention took away too.

    Args:
        root: The root.
        model: The model's name.
        versions: Versions in its serving directory.
        records: Runs.
    """
    there = {version.number: version for version in versions}
    found = {}
    for record in records:
        push = record.push
        if record.model == model and push and push.pushed and push.version is not None:
            note = _describe_state(there.get(push.version))
            measured = _read_measurements(root, record)
            found[push.version] = VersionQuality(
                push.version, record.run_id, record.ended or record.started, measured, note
            )
    for version in sorted(there.values(), key=lambda each: each.number):  # a copy comes after what it was copied from
        source = found.get(version.provenance.get("bytes_of") or -1)
        if version.number not in found and source:
            how = "rollback" if version.provenance.get("rollback_of") else "promotion"
            note = " ".join((how, _describe_state(version))).strip()
            found[version.number] = VersionQuality(version.number, source.run, version.pushed_at, source.measured, note)
        elif version.number not in found:
            found[version.number] = _read_provenance(version)
    return [found[number] for number in sorted(found)]


def _describe_state(version: Version | None) -> str:
    if version is None:
        return "taken away"
    return "live" if version.live else "quarantined" if version.quarantine else ""


def _read_measurements(root: Root, record: RunRecord) -> dict[str, Measurement]:
    """By Evaluator, what it measured of the run's model."""
    intervals = read_scores(root.run_folder(record.run_id)).get("intervals", {})
    measured = {}
    for node in SOURCES:
        overall = record.find_overall(node)
        known = intervals.get(node, {}).get(OVERALL, {})
        limits = {name: (each["value"][0], each["value"][1]) for name, each in known.items() if each.get("value")}
        if overall:
            measured[node] = Measurement(_keep_numbers(overall.candidate), limits)
    return measured


def _read_provenance(version: Version) -> VersionQuality:
    """Of a version whose run is not in the list: an older one, or one that is gone."""
    metrics = version.provenance.get("metrics")
    values = _keep_numbers(metrics if isinstance(metrics, Mapping) else {})
    run = str(version.provenance.get("run_id") or "")
    measured = {RECORDED: Measurement(values, {})} if values else {}
    return VersionQuality(version.number, run, version.pushed_at, measured, _describe_state(version))


def _keep_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float))}


def list_metrics(qualities: Sequence[VersionQuality], main: str) -> list[str]:
    """Names of the metrics that any version has, the main one first."""
    names = dict.fromkeys(name for each in qualities for part in each.measured.values() for name in part.values)
    return sorted(names, key=lambda name: (name != main, name))


def list_rows(qualities: Iterable[VersionQuality], metric: str) -> list[dict[str, Any]]:
    """The numbers of one metric as a table, newest version first: a row a version and measurement."""
    return [
        {
            "version": each.version,
            "run": each.run,
            "source": SOURCES[source],
            "value": part.values[metric],
            "limits": part.limits.get(metric),
            "note": each.note,
        }
        for each in sorted(qualities, key=lambda quality: -quality.version)
        for source, part in each.measured.items()
        if metric in part.values
    ]


def draw_quality(qualities: Sequence[VersionQuality], metric: str) -> charts.Figure | None:
    """The metric over the versions that have it, a line for each source; None where none has."""
    series = {
        words: {
            str(each.version): {"value": part.values[metric], "limits": part.limits.get(metric)}
            for each in qualities
            if (part := each.measured.get(source)) and metric in part.values
        }
        for source, words in SOURCES.items()
    }
    known = {words: points for words, points in series.items() if points}
    versions = {
        str(each.version): each.note
        for each in qualities
        if any(str(each.version) in points for points in known.values())
    }
    return charts.draw_versions(name_key(metric), versions, known) if known else None
