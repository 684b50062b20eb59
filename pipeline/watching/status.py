"""`taxiway watch --status`: what waits, what runs, what ended. It changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from taxiway.pipeline.console import printing
from taxiway.pipeline.cron import parse_schedule
from taxiway.pipeline.root import Root
from taxiway.pipeline.watching import run_process, triggers
from taxiway.pipeline.watching.state import Ending, Trigger, WatchState, get_folder, read_state
from taxiway.pipeline.watching.watch import WatchRequest

ENDINGS_SHOWN = 10


def read_status(request: WatchRequest) -> dict[str, Any]:
    """The state as JSON values, with what a look now would add.

    Returns:
        `model`, `config`, `folder`, `spans` (known), `due` (triggers that wait, and those that the next look will
        find), `running` (the attempt; None), `is_running` (whether its process is alive), `next_moment` (of the
        schedule), `changing_spans` (still being written), `late_spans` (came after newer ones: no run reads them),
        `candidate` (while it is tried, bad verdicts on the live version wait; None), `ended` (newest first).

    Raises:
        TaxiwayError: Configuration, data or state cannot be read.
    """
    config, root, now = request.load_config(), Root.at(request.root), time.time()
    folder = get_folder(root, config.name)
    state = read_state(folder)
    found, _ = triggers.find_triggers(state, root, config, request.events, now)
    candidate = triggers.find_candidate_number(root, config.name) if request.events.verdicts else None
    spans = triggers.watches_spans(config.data) and request.events.spans
    return {
        "model": config.name,
        "config": str(config.source or ""),
        "folder": str(folder),
        "spans": list(found.spans or ()),
        "due": [trigger.model_dump() for trigger in found.waiting],
        "running": state.running.model_dump() if state.running else None,
        "is_running": run_process.is_running(folder),
        "next_moment": _find_next_moment(request, state, now),
        "changing_spans": triggers.list_spans(config.data, request.events.settle_seconds, now)[1] if spans else [],
        "late_spans": triggers.list_late_spans(found, config, request.events, now) if spans else [],
        "candidate": candidate,
        "ended": [ending.model_dump() for ending in reversed(state.ended)],
    }


def _find_next_moment(request: WatchRequest, state: WatchState, now: float) -> float | None:
    """Of the schedule that is asked for, else of the one that was watched last."""
    schedule = request.events.schedule or (parse_schedule(state.schedule, state.zone) if state.schedule else None)
    return schedule.find_next(triggers.to_datetime(now)).timestamp() if schedule else None


def render_status(status: dict[str, Any]) -> RenderableType:
    """The status as text."""
    parts: list[RenderableType] = [Text(line) for line in _list_lines(status)]
    if status["due"]:
        rows = [_make_due_row(Trigger.model_validate(each), status) for each in status["due"]]
        parts.append(printing.make_table("due", ("", "reason", "attempts", "not before", "last error"), rows))
    if status["ended"]:
        endings = [Ending.model_validate(each) for each in status["ended"][:ENDINGS_SHOWN]]
        columns = ("ended", "", "reason for the run", "run", "attempts", "how")
        parts.append(printing.make_table("ended", columns, [_make_ended_row(each) for each in endings]))
    return Group(*parts)


def _list_lines(status: dict[str, Any]) -> Iterable[str]:
    yield f"{status['model']}: {len(status['due'])} due, state in {status['folder']}"
    if status["next_moment"]:
        yield f"next moment of the schedule: {printing.format_time(status['next_moment'])} (local time)"
    if status["changing_spans"]:
        yield f"still being written: spans {', '.join(map(str, status['changing_spans']))}"
    if status["candidate"]:
        yield f"candidate {status['candidate']} is tried: bad verdicts on the live version wait for its end"
    if status["late_spans"]:
        numbers = ", ".join(map(str, status["late_spans"]))
        yield f"came after newer spans, so no run reads them by itself: {numbers} (taxiway run --set data.spans=N)"


def _make_due_row(trigger: Trigger, status: dict[str, Any]) -> tuple[str | None, ...]:
    first = status["due"][0]["key"] == trigger.key and status["due"][0]["kind"] == trigger.kind
    running = "[green]running[/]" if first and status["is_running"] else ""
    later = printing.format_time(trigger.not_before) if trigger.not_before else None
    words = printing.escape_markup
    return running, words(trigger.text), str(trigger.attempts), later, words(trigger.last_error) or None


def _make_ended_row(ending: Ending) -> tuple[str | None, ...]:
    words = printing.escape_markup
    colour = {"live": "green", "blocked": "yellow", "given_up": "red"}.get(ending.outcome, "dim")
    outcome = f"[{colour}]{ending.outcome.replace('_', ' ')}[/]"
    when, how = printing.format_time(ending.ended), words(ending.reason) or None
    return when, outcome, words(ending.text), ending.run_id or None, str(ending.attempts), how
