"""A verdict as gauges for Prometheus: in the embedded server's `/metrics`, and as a file for node_exporter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import prometheus_client
from prometheus_client.core import Metric

from taxiway.components.errors import UsageError
from taxiway.components.files.durable_files import replace_file
from taxiway.components.saved_models import model_versions
from taxiway.components.serving.versions.verdict_gauges import (
    PREFIX,
    GaugeValue,
    VersionGauges,
    WindowGauges,
    make_families,
    remove_gauges,
    write_gauges,
)
from taxiway.pipeline.monitoring.verdicts import ServingVerdict
from taxiway.pipeline.root import Root

STATUS_CODES = {"right": 0, "wrong": 1, "too_few_rows": 2}


def check_name(path: Path) -> None:
    """Raises `UsageError` where the file has another ending than the collector reads."""
    if path.suffix != ".prom":
        raise UsageError(f"--metrics-file {path} does not end with .prom.", "The textfile collector reads no others.")


def write_text_file(path: Path, verdict: ServingVerdict) -> None:
    """Replaces the file by the gauges of a verdict: the collector sees the old file or the new one.

    Raises:
        UsageError: The file cannot be written, or has another ending than the collector reads.
    """
    check_name(path)
    registry = prometheus_client.CollectorRegistry()
    registry.register(_Listed(list(make_families(list_gauges(verdict)))))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, prometheus_client.generate_latest(registry), sync=False)
        path.chmod(0o644)
    except OSError as error:
        raise UsageError(
            f"--metrics-file {path} cannot be written: {error.strerror}.", "Name a file in a folder of yours."
        ) from error


def show_to_server(root: Root, verdict: ServingVerdict) -> None:
    """Leaves the gauges where the embedded server looks, and takes away those of versions that are gone.

    An experiment, which nothing acts on, is not shown: alerts act on what is.

    Raises:
        OSError: The serving directory cannot be written.
    """
    if not verdict.standing:
        return
    base = root.serving / verdict.model
    metrics = tuple(_list_metrics(verdict))
    labelled = WindowGauges(verdict.window_end, verdict.created, metrics) if metrics else None
    rest = (*_list_window(verdict), *_list_differences(verdict))
    gauges = VersionGauges(verdict.window_end, verdict.created, rest, labelled)
    write_gauges(base, verdict.model_version, gauges)
    remove_gauges(base, model_versions.list_version_folders(base))


class _Listed:
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def list_gauges(verdict: ServingVerdict) -> Iterator[GaugeValue]:
    """The gauges of a verdict; those of the version before those of its columns, of which there may be many."""
    yield from _list_window(verdict)
    yield from _list_metrics(verdict)
    yield from _list_differences(verdict)


def _list_window(verdict: ServingVerdict) -> Iterator[GaugeValue]:
    own = _list_labels(verdict)
    blocking = sum(finding.blocking for finding in verdict.findings)
    unreadable = verdict.numbers.get("sources", {}).get("unreadable_files", 0)
    for name, words, value in (
        ("status", "Of the newest window: 0 right, 1 wrong, 2 too few rows.", STATUS_CODES[verdict.status]),
        ("window_end_seconds", "End of the newest window, seconds since 1970.", verdict.window_end),
        ("judged_seconds", "When the newest window was judged, seconds since 1970.", verdict.created),
        ("rows", "Logged rows of the window.", verdict.rows),
        ("findings", "Differences from training that chance does not explain.", blocking),
        ("unreadable_files", "Files of the log that were skipped, or not read to their end.", unreadable),
    ):
        yield GaugeValue(PREFIX + name, words, own, value)


def _list_labels(verdict: ServingVerdict) -> tuple[tuple[str, str], ...]:
    return ("model", verdict.model), ("version", str(verdict.model_version))


def _list_differences(verdict: ServingVerdict) -> Iterator[GaugeValue]:
    own = _list_labels(verdict)
    for column, found in verdict.numbers.get("columns", {}).items():
        for each in found:
            labels = (*own, ("column", column), ("kind", each["kind"]), ("measure", each["measure"]))
            yield GaugeValue(f"{PREFIX}difference", "A difference from training.", labels, each["value"])
            yield GaugeValue(f"{PREFIX}limit", "The most that is allowed.", labels, each["limit"])


def _list_metrics(verdict: ServingVerdict) -> Iterator[GaugeValue]:
    """What only labels tell."""
    if not verdict.performance:
        return
    own = _list_labels(verdict)
    words = "Of the newest window with labels: whether what they tell is 0 right, 1 wrong."
    yield GaugeValue(f"{PREFIX}labelled_status", words, own, float(verdict.is_wrong_by_labels))
    words = "End of the newest window with labels, seconds since 1970."
    yield GaugeValue(f"{PREFIX}labelled_window_end_seconds", words, own, verdict.window_end)
    words = "A metric live, its 95 % interval, and as promised."
    for metric in verdict.performance:
        values = {"live": metric.live, "promised": metric.promised}
        values |= dict(zip(("low", "high"), metric.interval or (None, None), strict=True))
        for which, number in values.items():
            if number is not None:
                labels = (*own, ("metric", metric.metric), ("which", which))
                yield GaugeValue(f"{PREFIX}metric", words, labels, number)
