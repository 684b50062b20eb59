"""What is due: new spans, moments of a schedule, verdicts. Each becomes a trigger once, and the state remembers it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from taxiway.components.errors import UsageError
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.tables.config import SPAN_PLACEHOLDER, TableConfig
from taxiway.components.tables.sources.find_paths import group_by_span, resolve_pattern
from taxiway.components.tables.sources.open_files import is_remote
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.cron import CronSchedule
from taxiway.pipeline.monitoring import verdicts
from taxiway.pipeline.root import Root
from taxiway.pipeline.watching.state import Trigger, WatchState

GROWING = ("latest", "all")
"""Values of `data.spans` to which a new span means something."""


@dataclass(frozen=True)
class WatchedEvents:
    """What a watch looks for.

    Attributes:
        schedule: The schedule; None: none.
        spans: Whether new spans start a run.
        verdicts: Whether bad verdicts on the live version do.
        first_span: At the first look: the spans from here on are new; None: those newer than the live version's.
        grace_seconds: At the first look, a moment that passed no longer ago is due: a timer fires for it.
        settle_seconds: A span's files were last changed at least so long ago: what is being copied is no span yet.
    """

    schedule: CronSchedule | None = None
    spans: bool = True
    verdicts: bool = True
    first_span: int | None = None
    grace_seconds: float = 0.0
    settle_seconds: float = 60.0


def find_triggers(
    state: WatchState, root: Root, config: PipelineConfig, events: WatchedEvents, now: float
) -> tuple[WatchState, list[str]]:
    """What has become due since the state was written.

    Args:
        state: The state.
        root: The root.
        config: The configuration as it is now.
        events: What is looked for.
        now: Seconds since 1970.

    Returns:
        The state with it, and what was passed over, a sentence each.

    Raises:
        DataError: The place of the data cannot be read.
        StoreError: A verdict is damaged.
    """
    if events.spans and watches_spans(config.data):
        state = _add_spans(state, root, config, events, now)
    if events.schedule:
        state = _add_moment(state, events.schedule, now, events.grace_seconds)
    return _add_verdict(state, root, config, now) if events.verdicts else (state, [])


def check_events(config: PipelineConfig, events: WatchedEvents) -> None:
    """Refuses a watch that could never start a run.

    Raises:
        UsageError: Nothing is looked for, or a span is named where there are none.
    """
    spans = events.spans and watches_spans(config.data)
    if events.first_span is not None and not spans:
        raise UsageError(f"--from-span {events.first_span}: {_explain_no_spans(config.data)}.", "Leave it out.")
    if not spans and not events.schedule and not events.verdicts:
        raise UsageError(
            f"Nothing would ever start a run: {_explain_no_spans(config.data)}, no --every, and --no-verdicts.",
            "Give --every '0 6 * * 1', or name files by spans: data.path: data/{SPAN}/flights.csv.",
        )


def watches_spans(data: TableConfig) -> bool:
    """Whether new spans can come."""
    return SPAN_PLACEHOLDER in data.path and data.spans in GROWING


def _explain_no_spans(data: TableConfig) -> str:
    if SPAN_PLACEHOLDER not in data.path:
        return f"data.path {data.path!r} has no {SPAN_PLACEHOLDER}"
    return f"data.spans is {data.spans}, so that no new span is read"


# ---- spans ----


def list_spans(data: TableConfig, settle_seconds: float, now: float) -> tuple[list[int], list[int]]:
    """The spans whose files are there, ascending, and those whose files are still being written."""
    complete: list[int] = []
    changing: list[int] = []
    for span, paths in sorted(group_by_span(resolve_pattern(data.path)).items()):
        if paths:
            (changing if _is_changing(paths, settle_seconds, now) else complete).append(span)
    return complete, changing


def _is_changing(paths: Iterable[str], settle_seconds: float, now: float) -> bool:
    """By the time of the last change of any kind: a copy that keeps old times has it too. Objects appear whole."""
    try:
        return any(not is_remote(path) and now - os.stat(path).st_ctime < settle_seconds for path in paths)  # noqa: PTH116
    except FileNotFoundError:  # it has just been renamed
        return True


def _add_spans(state: WatchState, root: Root, config: PipelineConfig, events: WatchedEvents, now: float) -> WatchState:
    complete, changing = list_spans(config.data, events.settle_seconds, now)
    if state.spans is None:
        there = sorted({*complete, *changing})  # a copy of the folder has them all change, and none is new by that
        known_at_first = _find_known_spans(there, root, config, events.first_span)
        if not there and not known_at_first:
            return state
        state = state.model_copy(update={"spans": known_at_first})
    known = state.spans or ()
    new = [span for span in complete if span not in known and not _is_late(span, known, config.data.spans)]
    if not new:
        return state
    waiting = state.waiting
    if config.data.spans == "all":  # one run reads them all
        waiting = tuple(each for each in waiting if each.kind != "span" or each.attempts)
        newest = max({*known, *new})  # a late one is read beside the newer ones, never in their place
        found = [Trigger(kind="span", key=str(newest), text=f"spans up to {newest}", found=now)]
    else:
        found = [Trigger(kind="span", key=str(span), text=f"span {span}", found=now) for span in new]
    return state.model_copy(update={"spans": tuple(sorted({*known, *new})), "waiting": (*waiting, *found)})


def _is_late(span: int, known: tuple[int, ...], wanted: str) -> bool:
    """Whether a span is older than one that is known, where only the latest is read: training would go back in time."""
    return wanted == "latest" and bool(known) and span < known[-1]


def list_late_spans(state: WatchState, config: PipelineConfig, events: WatchedEvents, now: float) -> list[int]:
    """Spans that came after newer ones, so that no run reads them by itself."""
    known = state.spans or ()
    complete, _ = list_spans(config.data, events.settle_seconds, now)
    return [span for span in complete if span not in known and _is_late(span, known, config.data.spans)]


def _find_known_spans(there: list[int], root: Root, config: PipelineConfig, first_span: int | None) -> tuple[int, ...]:
    """At the first look: what needs no run. Where nothing is live, the newest span does."""
    if first_span is not None:
        return tuple(span for span in there if span < first_span)
    live = ServingDirectory(root.serving / config.name).find_live()
    span = (live.provenance.get("data") or {}).get("span") if live else None
    if isinstance(span, int):  # known also where its files are gone: what is older than it is late
        return (*(each for each in there if each < span), span)
    return tuple(there[:-1])


# ---- schedules ----


def _add_moment(state: WatchState, schedule: CronSchedule, now: float, grace_seconds: float) -> WatchState:
    """Moments that passed while nothing looked are made up for by one run: they would all train on the same data."""
    named = {"schedule": schedule.text, "zone": schedule.zone.key}
    if state.last_moment is None or (state.schedule, state.zone) != (schedule.text, schedule.zone.key):
        state = state.model_copy(update={**named, "last_moment": now - grace_seconds})
    since = min(state.last_moment or now, now)
    if since != state.last_moment:  # the clock was ahead, and would silence the schedule until then
        state = state.model_copy(update={"last_moment": since})
    moment = schedule.find_newest(to_datetime(since), to_datetime(now))
    if moment is None:
        return state
    local = moment.astimezone(schedule.zone)
    trigger = Trigger(
        kind="schedule",
        key=f"{moment:%Y-%m-%dT%H:%MZ}",
        text=f"schedule {schedule.text!r}, {local:%Y-%m-%d %H:%M} {schedule.zone.key}",
        found=now,
    )
    waiting = _add_unless(state.waiting, trigger, lambda each: each.kind == "schedule")
    return state.model_copy(update={"last_moment": moment.timestamp(), "waiting": waiting})


def to_datetime(seconds: float) -> datetime.datetime:
    """A moment in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _add_unless(
    waiting: tuple[Trigger, ...], trigger: Trigger, covers: Callable[[Trigger], bool]
) -> tuple[Trigger, ...]:
    """Adds a trigger, unless one that waits asks for the same run."""
    return waiting if any(covers(each) and not each.attempts for each in waiting) else (*waiting, trigger)


# ---- verdicts ----


def _add_verdict(state: WatchState, root: Root, config: PipelineConfig, now: float) -> tuple[WatchState, list[str]]:
    """The newest bad verdict on the live version; one that a right one of its kind followed asks for nothing.

    While a candidate is tried, its model is the answer: bad verdicts on the live one wait until it is live or gone.
    """
    listed = verdicts.list_verdicts(root, config.name)
    kept = {verdict.verdict_id for verdict in listed}
    known = {each for each in state.verdicts if each in kept}
    version = find_live_number(root, config.name)
    judged = [each for each in listed if each.model_version == version and each.status in ("right", "wrong")]
    new = [each for each in judged if each.status == "wrong" and each.verdict_id not in known]
    passed_over = [each for each in new if not each.standing]
    notes = [f"passed over: verdict {each.verdict_id} on version {version}: {each.origin}" for each in passed_over]
    seen = {*known, *(verdict.verdict_id for verdict in passed_over)}
    waiting = state.waiting
    standing = [each for each in judged if each.standing]
    new = [each for each in new if each.standing]
    if new and find_candidate_number(root, config.name) is None:
        open_ones = [each for each in new if not verdicts.is_overruled(each, standing)]
        if open_ones:
            found, *_ = open_ones
            text = f"verdict {found.verdict_id} on version {version}: {found.reason}"
            trigger = Trigger(kind="verdict", key=found.verdict_id, text=text, found=now, version=version)
            waiting = _add_unless(waiting, trigger, lambda each: each.kind == "verdict" and each.version == version)
        seen |= {verdict.verdict_id for verdict in new}
    return state.model_copy(update={"verdicts": tuple(sorted(seen)), "waiting": waiting}), notes


def explain_superseded(trigger: Trigger, root: Root, model: str) -> str:
    """Why a verdict's run is of no use any more; empty where it is, and for other triggers."""
    if trigger.kind != "verdict":
        return ""
    return "" if find_live_number(root, model) == trigger.version else f"version {trigger.version} is no longer live"


def explain_putting_aside(trigger: Trigger, root: Root, model: str) -> str:
    """Why a verdict's run waits for the end of a candidate that came meanwhile; empty where it does not."""
    candidate = find_candidate_number(root, model) if trigger.kind == "verdict" else None
    return "" if candidate is None else f"candidate {candidate} is tried in its place"


def find_live_number(root: Root, model: str) -> int | None:
    """Number of the live version; None where there is none."""
    live = ServingDirectory(root.serving / model).find_live()
    return live.number if live else None


def find_candidate_number(root: Root, model: str) -> int | None:
    """Number of the version that is tried beside the live one; None where there is none."""
    candidate = ServingDirectory(root.serving / model).load_state().candidate
    return candidate.version if candidate else None
