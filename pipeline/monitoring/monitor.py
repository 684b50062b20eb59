"""`taxiway monitor`: one window of a version's requests, judged, recorded and told."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.contract import score_output
from taxiway.components.distributions.chance import ERROR_RATE
from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.components.files.durable_files import make_folder, replace_file
from taxiway.components.monitoring.config import MonitoringConfig
from taxiway.components.monitoring.findings import Difference
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions.version import Version, format_time
from taxiway.pipeline.monitoring import gauges, record, retention
from taxiway.pipeline.monitoring.sources import MonitoredVersion, open_version
from taxiway.pipeline.monitoring.verdicts import (
    STATISTICS_FILE,
    MonitoringFinding,
    ServingVerdict,
    Status,
    get_folder,
    list_verdicts,
    write_verdict,
)
from taxiway.pipeline.root import Root

if TYPE_CHECKING:
    from taxiway.components.monitoring.window import RequestWindow
    from taxiway.components.serving.request_log.logged_mask import LoggedMask
    from taxiway.components.serving.request_log.logged_requests import LoggedRequest, ReadResult

WINDOW_HOURS = 24.0
AHEAD_SECONDS = 3600.0
"""How far the clock that names the window's end may be ahead."""
MOST_FILES = 20
"""Unreadable files that a verdict names; it counts them all."""


@dataclass(frozen=True)
class MonitorRequest:
    """What is to be judged.

    Attributes:
        root: The root.
        model: Name of the model; None: the only one.
        model_version: Number of the version; None: the live one.
        hours: Length of the window.
        until: Its end, seconds since 1970; None: now.
        logs: Files and folders of `PredictionLog` records; empty: where the embedded server logs.
        labels: File of labels that came later; None: none.
        id_columns: Columns by which labels are joined.
        limits: Values in place of those of `serving.monitoring`.
        standing: Whether the verdict counts in spite of `until`, `logs` and `limits`: `taxiway watch` and `taxiway
            promote --auto` act on it.
    """

    root: Root
    model: str | None = None
    model_version: int | None = None
    hours: float = WINDOW_HOURS
    until: float | None = None
    logs: tuple[Path, ...] = ()
    labels: Path | None = None
    id_columns: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    standing: bool = False

    def list_options(self) -> tuple[str, ...]:
        """What sets it apart from the standing settings, as options of `taxiway monitor`."""
        words = [f"--log {log}" for log in self.logs]
        words += [f"--set {name}={value}" for name, value in self.limits.items()]
        if self.until is not None:
            moment = datetime.datetime.fromtimestamp(self.until, datetime.UTC)
            words.append(f"--until {moment:%Y-%m-%dT%H:%M:%SZ}")
        return tuple(words)


@dataclass(frozen=True)
class MonitorResult:
    """A verdict that was made.

    Attributes:
        verdict: The verdict.
        folder: Its folder.
        execution: Id of its execution in ML Metadata; None where it is not recorded there.
        not_recorded: Why it is not recorded, or not linked to the version's push; empty where it is.
        failures: Sentences about what could not be done with it.
    """

    verdict: ServingVerdict
    folder: Path
    execution: int | None = None
    not_recorded: str = ""
    failures: tuple[str, ...] = ()


def monitor_version(request: MonitorRequest) -> MonitorResult:
    """Judges a window, writes the verdict under the root and records it in ML Metadata. Imports TensorFlow.

    Raises:
        UsageError: There is no such model or window, or labels cannot be joined.
        DataError: There is no request log, nothing of it can be read, or the labels cannot be read.
        ServingError: There is no such version, or nothing to compare its traffic with.
    """
    if request.labels is not None and not request.id_columns:
        raise UsageError("--labels needs to know which label belongs to which row.", "Name the columns with --id.")
    monitored = open_version(request.root, request.model, request.model_version)
    config = change_limits(monitored.settings, request.limits)
    end = time.time() if request.until is None else request.until
    start = end - request.hours * 3600
    _check_times(start, end, request.hours)
    start = _begin_with_trial(monitored.version, start, end)
    logged = _read_window(monitored, request.logs, start, end)
    verdict, statistics = _judge(monitored, config, logged, request, (start, end))
    numbers = {**verdict.numbers, "sources": _describe_sources(logged)}
    verdict = verdict.model_copy(update={"numbers": numbers, "unreadable_files": _list_unreadable(logged.read)})
    return _keep_verdict(monitored, verdict, statistics)


def _check_times(start: float, end: float, hours: float) -> None:
    """A verdict on a window of the future would be the newest one until then."""
    if not start >= 0:
        raise UsageError(f"A window of {hours:g} hours begins before 1970.", "Give fewer --hours, or another --until.")
    if end > time.time() + AHEAD_SECONDS:
        raise UsageError("The window's end (--until) is in the future.", "Give one that has passed.")


def _begin_with_trial(version: Version, start: float, end: float) -> float:
    """A window's start, for a candidate no earlier than its trial: what was logged before is not its own."""
    if version.candidate is None:
        return start
    began = version.candidate.steps[0].time
    if end <= began:
        raise UsageError(
            f"Version {version.number} is tried since {format_time(began)}: the window ends before that.",
            "Give a later --until, or none.",
        )
    return max(start, began)


def change_limits(settings: ServingConfig, limits: Mapping[str, Any]) -> MonitoringConfig:
    """The settings of the last push with other values.

    Raises:
        ConfigError: There is no such setting, or the value is none.
    """
    from taxiway.components.component_arguments import parse_section

    merged = settings.monitoring.model_dump()
    for name, value in limits.items():
        section, _, key = name.partition(".")
        if key and isinstance(merged.get(section), dict):
            merged[section] = {**merged[section], key: value}
        else:
            merged[name] = value
    return parse_section(ServingConfig, {**settings.model_dump(), "monitoring": merged}, "serving").monitoring


# ---- the window ----


@dataclass(frozen=True)
class _LoggedWindow:
    """The rows, what was read, and what the records say of themselves.

    Attributes:
        window: The rows.
        read: Counts.
        rates: Requests by the sampling rate of their log.
        masks: Requests by the mask that their record names.
    """

    window: RequestWindow
    read: ReadResult
    rates: Counter[float]
    masks: Counter[LoggedMask | None]


def _read_window(monitored: MonitoredVersion, logs: Sequence[Path], start: float, end: float) -> _LoggedWindow:
    from taxiway.components.monitoring.window import collect_window
    from taxiway.components.serving.request_log.logged_requests import ReadResult, find_log_files, read_requests

    read, rates, masks = ReadResult(), Counter[float](), Counter["LoggedMask | None"]()
    files = find_log_files(logs or (monitored.log_folder,), read)

    def note_requests(requests: Iterable[LoggedRequest]) -> Iterator[LoggedRequest]:
        for request in requests:
            rates[round(request.sampling_rate, 6)] += 1
            masks[request.mask] += 1
            yield request

    requests = note_requests(read_requests(files, monitored.model, monitored.version.number, start, end, read))
    window = collect_window(requests, monitored.inputs, _name_output(monitored))
    read.move_to_damaged(window.damaged)
    read.check_anything_readable()
    return _LoggedWindow(window, read, rates, masks)


def _name_output(monitored: MonitoredVersion) -> str:
    """Of a version without its own word: a classifier has a decision rule."""
    if monitored.reference.scores is not None:
        return monitored.reference.scores.output
    from taxiway.components.saved_models.decision_rule import read_decision_rule

    return score_output("regression" if read_decision_rule(monitored.version.path) is None else "binary")


def _describe_sources(logged: _LoggedWindow) -> dict[str, Any]:
    read = logged.read
    return {
        "files": read.files,
        "older_files": read.older,
        "records": dict(read.records),
        "others": dict(read.others),
        "unreadable_files": len(read.unreadable),
        "sampling_rates": sorted(logged.rates),
        "one_of": logged.window.every,
    }


def _list_unreadable(read: ReadResult) -> dict[str, str]:
    return dict(list(read.unreadable.items())[:MOST_FILES])


# ---- the judgement ----


def _judge(
    monitored: MonitoredVersion,
    config: MonitoringConfig,
    logged: _LoggedWindow,
    request: MonitorRequest,
    times: tuple[float, float],
) -> tuple[ServingVerdict, statistics_pb2.DatasetFeatureStatisticsList | None]:
    window = logged.window
    known = {
        "model": monitored.model,
        "model_version": monitored.version.number,
        "digest": monitored.version.digest,
        "created": time.time(),
        "window_start": times[0],
        "window_end": times[1],
        "requests": window.requests,
        "rows": window.rows,
        "fewest_rows": config.min_rows,
        "options": request.list_options(),
        "standing": request.standing or not request.list_options(),
    }
    if window.rows < config.min_rows:
        notes = (f"{request.labels} was not read: the rows are too few",) if request.labels else ()
        return ServingVerdict(**known, status="too_few_rows", notes=notes), None
    from taxiway.components.monitoring.judge import judge_window
    from taxiway.pipeline.monitoring import live_labels
    from taxiway.pipeline.monitoring.masks import find_masked_columns

    before = _read_statistics_before(monitored, times[0])
    masked = find_masked_columns(logged.masks, monitored.settings.request_log, monitored.inputs, window)
    judged = judge_window(
        window,
        monitored.reference,
        monitored.columns,
        config,
        _compute_statistics,
        masked=monitored.find_unjudged(config.leave_out) | masked,
        before=before[1] if before else None,
        more_checks=live_labels.count_checks(monitored) if request.labels else 0,
        words=monitored.rules.words if monitored.rules else {},
    )
    late = live_labels.judge_labels(
        monitored, config, window, request.labels, request.id_columns, judged.rate, masked=masked
    )
    not_judged = {**judged.not_judged, **({"labels": late.not_judged} if late.not_judged else {})}
    differences = (*judged.differences, *late.differences)
    status: Status = "wrong" if any(each.blocks for each in differences) else "right"
    numbers = {
        "columns": _collect_numbers(differences),
        "reference": monitored.reference.place,
        "before": before[0] if before else "",
        "error_rate": ERROR_RATE,
        **({"labels": late.counts} if late.counts else {}),
    }
    verdict = ServingVerdict(
        **known,
        status=status,
        findings=tuple(_list_findings(differences)),
        not_judged=not_judged,
        performance=late.performance,
        notes=late.notes,
        numbers=numbers,
    )
    return verdict, judged.statistics


def _compute_statistics(batches: Iterable[Any]) -> statistics_pb2.DatasetFeatureStatisticsList:
    import tensorflow_data_validation as tfdv

    from taxiway.components.statistics.compute import compute_statistics

    return compute_statistics(batches, tfdv.StatsOptions())


def _read_statistics_before(
    monitored: MonitoredVersion, start: float
) -> tuple[str, statistics_pb2.DatasetFeatureStatisticsList] | None:
    """Id and statistics of the version's newest right window that ended before this one begins.

    Of a wrong one a mended window would differ, too.
    """
    from google.protobuf.message import DecodeError

    version = monitored.version
    for verdict in list_verdicts(monitored.root, monitored.model, version.number, skip_damaged=True):
        if not verdict.is_about(version.digest):
            continue
        file = get_folder(monitored.root, verdict) / STATISTICS_FILE
        if verdict.status == "right" and verdict.window_end <= start and file.is_file():
            try:
                content = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
            except (DecodeError, OSError):
                continue
            return verdict.verdict_id, content
    return None


def _collect_numbers(differences: Iterable[Difference]) -> dict[str, list[dict[str, Any]]]:
    """What was measured, by column; scores and labels under the names of their classes."""
    numbers: dict[str, list[dict[str, Any]]] = {}
    for each in differences:
        numbers.setdefault(each.column, []).append(
            {
                "kind": each.kind,
                "measure": each.measure,
                "value": each.value,
                "limit": each.limit,
                "by_chance": each.by_chance,
            }
        )
    return numbers


def _list_findings(differences: Iterable[Difference]) -> Iterator[MonitoringFinding]:
    """Those beyond their limits, the blocking ones first, each group by how far beyond."""
    beyond = [each for each in differences if each.exceeds]
    for each in sorted(beyond, key=lambda d: (not d.blocks, -d.value / max(d.limit, 1e-12))):
        few = "" if each.blocks else f"; so few rows reach {each.by_chance:.3g} by chance, so this does not count"
        yield MonitoringFinding(
            kind=each.kind,
            column=each.column,
            value=each.value,
            limit=each.limit,
            by_chance=each.by_chance,
            blocking=each.blocks,
            text=f"{each.text}{few}",
        )


# ---- keeping ----


def _keep_verdict(
    monitored: MonitoredVersion, verdict: ServingVerdict, statistics: statistics_pb2.DatasetFeatureStatisticsList | None
) -> MonitorResult:
    """Writes the verdict first; what fails afterwards is told beside it."""
    folder = get_folder(monitored.root, verdict)
    make_folder(folder)
    if statistics is not None:
        replace_file(folder / STATISTICS_FILE, statistics.SerializeToString(deterministic=True))
    write_verdict(monitored.root, verdict)
    execution, not_recorded = record.record_verdict(monitored.root, verdict, folder)
    failures = []
    for what, keep in (
        ("The server's /metrics do not show it", lambda: gauges.show_to_server(monitored.root, verdict)),
        ("Old verdicts were not removed", lambda: retention.prune_verdicts(monitored.root, monitored.model)),
    ):
        try:
            keep()
        except (TaxiwayError, OSError) as error:
            failures.append(f"{what}: {error}")
    return MonitorResult(verdict, folder, execution, not_recorded, tuple(failures))
