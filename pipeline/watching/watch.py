"""The watch itself: look, write down what is due, run it, write down how it ended.

Every step is in the state file before it is done: a watch that is killed anywhere goes on where it was.
"""

from __future__ import annotations

import contextlib
import shlex
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from taxiway.components.errors import TaxiwayError
from taxiway.pipeline.config import PipelineConfig, load_config
from taxiway.pipeline.exit_codes import (
    EXIT_BLOCKED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_LIVE,
    EXIT_TERMINATED,
    EXIT_USAGE,
)
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.on_disk.root_lock import prepare_root
from taxiway.pipeline.runs.request import RunRequest
from taxiway.pipeline.watching import run_process, triggers
from taxiway.pipeline.watching.run_process import RunEnding
from taxiway.pipeline.watching.state import (
    Attempt,
    Ending,
    Outcome,
    Trigger,
    WatchState,
    get_folder,
    read_state,
    write_state,
)
from taxiway.pipeline.watching.triggers import WatchedEvents

WARM_START = "training.warm_start=live"
MAX_WAIT_SECONDS = 6 * 3600
MAX_LOST_RUNS = 5
"""A run that ended together with its watch is run again so often: a machine that restarts is not the run's failure,
one that runs out of memory each time is."""
NEEDS_DATA = (
    "the live version is from these very rows, settings and code, so that a run would make it again: "
    "put rows in place that look like the traffic"
)


@dataclass(frozen=True)
class WatchRequest:
    """What is watched, and how its runs are made.

    Attributes:
        config: The configuration file; None: the taxi example's.
        root: The root.
        overrides: Settings as `--set` takes them.
        events: What starts a run.
        warm_start: Whether runs begin with the weights of the live version.
        retries: Further runs for a trigger whose run failed.
        retry_seconds: Time before the first of them; it doubles each time, up to six hours.
        json: Whether standard output is kept free for JSON.
    """

    config: Path | None
    root: Path
    overrides: tuple[str, ...] = ()
    events: WatchedEvents = field(default_factory=WatchedEvents)
    warm_start: bool = True
    retries: int = 3
    retry_seconds: float = 300.0
    json: bool = False

    def load_config(self) -> PipelineConfig:
        """The configuration as it is now."""
        return load_config(self.config, self.overrides)


class Watch:
    """One model's watch under one root. Use it under `hold_watch_lock`."""

    def __init__(
        self, request: WatchRequest, tell: Callable[[str], None], clock: Callable[[], float] = time.time
    ) -> None:
        """Args:
        request: What is watched.
        tell: Function that shows a line to the user.
        clock: Seconds since 1970.
        """
        self.request, self.tell, self._clock = request, tell, clock
        self.root = Root.at(request.root)
        self.config = request.load_config()
        triggers.check_events(self.config, request.events)
        self.folder = get_folder(self.root, self.config.name)
        self.state = read_state(self.folder)

    def look(self) -> None:
        """Notes what has become due.

        Raises:
            TaxiwayError: Configuration, data or verdicts cannot be read.
        """
        self.config = self.request.load_config()
        state = self.state.model_copy(update={"config": str(self.config.source or "")})
        found, notes = triggers.find_triggers(state, self.root, self.config, self.request.events, self._clock())
        for trigger in found.waiting:
            if trigger not in self.state.waiting:
                self.tell(f"due: {trigger.text}")
        for note in notes:
            self.tell(note)
        self._save(found)

    def run_due(self) -> list[Ending | Trigger]:
        """Runs what waits, in order, until nothing does or the first one is to be tried again later.

        Returns:
            What ended, and the trigger whose run failed and will be tried again, if there is one.
        """
        results: list[Ending | Trigger] = []
        while self.state.waiting and (self.state.running or self.state.waiting[0].not_before <= self._clock()):
            if not self.state.running and self._put_aside(self.state.waiting[0]):
                continue
            result = self._adopt() if self.state.running else self._start()
            if isinstance(result, Trigger) and result.not_before <= self._clock():
                continue
            results.append(result)
        return results

    def get_next_try(self) -> float | None:
        """When a failed run is tried again; None where none is."""
        return self.state.waiting[0].not_before if self.state.waiting else None

    def _put_aside(self, trigger: Trigger) -> bool:
        """Whether it was: a verdict's while a candidate is tried. Once that is withdrawn, the next look finds the
        verdict again, unless a right one has followed it."""
        if triggers.explain_superseded(trigger, self.root, self.config.name):
            return False
        reason = triggers.explain_putting_aside(trigger, self.root, self.config.name)
        if reason:
            self._save(self.state.with_first_put_aside())
            self.tell(f"put aside: {trigger.text}: {reason}")
        return bool(reason)

    # ---- one attempt ----

    def _start(self) -> Ending | Trigger:
        trigger = self.state.waiting[0]
        if reason := triggers.explain_superseded(trigger, self.root, self.config.name):
            return self._end(trigger, "superseded", RunEnding(None, None), reason)
        attempt = Attempt(id=uuid.uuid4().hex[:12], started=self._clock())
        trigger = trigger.model_copy(update={"attempts": trigger.attempts + 1})
        self._save(self.state.with_first(trigger, attempt))
        lost = f", after {trigger.lost} that ended without a word," if trigger.lost else ""
        self.tell(f"run {trigger.attempts - trigger.lost} of {self.request.retries + 1}{lost} for {trigger.text}")
        arguments = [*self._make_request(trigger).to_arguments(), "--started-by", f"watch {attempt.id} {trigger.text}"]
        try:
            code = run_process.run_child(self.folder, arguments, to_stderr=self.request.json)
        except KeyboardInterrupt:
            if not run_process.is_running(self.folder):  # else it did not want to wait: the next watch adopts the run
                self._note_interruption(trigger, attempt)
            raise
        return self._settle(trigger, run_process.find_ending(self.root, attempt.id, code))

    def _note_interruption(self, trigger: Trigger, attempt: Attempt) -> None:
        """A run that was told to end is no try of its trigger, unless it had come to its end, or to its push."""
        ending = run_process.find_ending(self.root, attempt.id, None)
        if ending.push or ending.exit_code in (EXIT_LIVE, EXIT_BLOCKED):
            self._settle(trigger, ending)
        else:
            self._take_back_try(trigger)

    def _take_back_try(self, trigger: Trigger) -> Trigger:
        trigger = trigger.model_copy(update={"attempts": trigger.attempts - 1})
        self._save(self.state.with_first(trigger, None))
        return trigger

    def _adopt(self) -> Ending | Trigger:
        """Takes over what an earlier watch began and did not see end."""
        trigger, attempt = self.state.waiting[0], self.state.running
        assert attempt is not None
        if run_process.is_running(self.folder):
            self.tell(f"the run for {trigger.text}, which an earlier watch began, goes on: waiting for its end")
            run_process.wait_until_ended(self.folder)
        ending = run_process.find_ending(self.root, attempt.id, None)
        # Its process was killed, or had nothing to do: running it again goes on from there.
        if ending.exit_code is None and ending.push is None:
            return self._retry_lost(trigger, ending)
        # Its watch, too, was told to end, and did not wait for it.
        if ending.exit_code in (EXIT_INTERRUPTED, EXIT_TERMINATED) and ending.push is None:
            self.tell(f"the run for {trigger.text} was told to end: it is run again")
            return self._take_back_try(trigger)
        return self._settle(trigger, ending)

    def _settle(self, trigger: Trigger, ending: RunEnding) -> Ending | Trigger:
        """Decides by the exit code what becomes of the trigger."""
        reason = ending.record.reason if ending.record else ""
        if ending.is_unchanged and trigger.kind == "verdict":
            return self._end(trigger, "given_up", ending, NEEDS_DATA)
        if ending.is_unchanged:
            return self._end(trigger, "unchanged", ending, "the live version is from the same data, settings and code")
        if ending.exit_code == EXIT_LIVE:
            state = ending.record.state if ending.record else ""
            return self._end(trigger, "live" if state == "live" else "done", ending, reason)
        if ending.push:  # another run would begin with these weights, and push once more
            outcome: Outcome = "done" if ending.push.candidate else "live"
            return self._end(trigger, outcome, ending, reason or _describe_code(ending.exit_code))
        if ending.exit_code == EXIT_BLOCKED:
            return self._end(trigger, "blocked", ending, reason)
        reason = reason or _describe_code(ending.exit_code)
        if ending.exit_code == EXIT_USAGE and ending.record is None and self._is_refused():
            return self._end(trigger, "given_up", ending, f"{reason}: the configuration is refused, see above")
        return self._retry(trigger, ending, reason)

    def _is_refused(self) -> bool:
        """Whether the configuration itself is: data that cannot be read now may be there at the next try."""
        try:
            self.request.load_config()
        except TaxiwayError:
            return True
        return False

    def _retry(self, trigger: Trigger, ending: RunEnding, reason: str) -> Ending | Trigger:
        failed = trigger.attempts - trigger.lost
        if failed > self.request.retries:
            return self._end(trigger, "given_up", ending, reason)
        return self._wait(trigger, ending, reason, self.request.retry_seconds * 2 ** (failed - 1))

    def _retry_lost(self, trigger: Trigger, ending: RunEnding) -> Ending | Trigger:
        """The first one is run again at once: the machine was restarted."""
        trigger = trigger.model_copy(update={"lost": trigger.lost + 1})
        reason = "the run and its watch ended without a word"
        if trigger.lost > MAX_LOST_RUNS:
            reason += f", {trigger.lost} times; out of memory? The system's log knows"
            return self._end(trigger, "given_up", ending, reason)
        seconds = self.request.retry_seconds * 2 ** (trigger.lost - 2) if trigger.lost > 1 else 0.0
        return self._wait(trigger, ending, reason, seconds)

    def _wait(self, trigger: Trigger, ending: RunEnding, reason: str, seconds: float) -> Trigger:
        seconds = min(seconds, MAX_WAIT_SECONDS)
        later = self._clock() + seconds
        failed = {"not_before": later, "last_error": reason, "last_exit_code": ending.exit_code}
        trigger = trigger.model_copy(update=failed)
        self._save(self.state.with_first(trigger, None))
        again = f"tried again in {seconds:.0f} s" if seconds else "it is run again"
        self.tell(f"failed: {trigger.text}: {reason}; {again}")
        return trigger

    def _end(self, trigger: Trigger, outcome: Outcome, ending: RunEnding, reason: str) -> Ending:
        command = shlex.join(["taxiway", *self._make_request(trigger).to_arguments()])
        ended = Ending(
            kind=trigger.kind,
            key=trigger.key,
            text=trigger.text,
            outcome=outcome,
            exit_code=ending.exit_code,
            run_id=ending.record.run_id if ending.record else "",
            reason=reason,
            attempts=trigger.attempts,
            ended=self._clock(),
            command=command if outcome == "given_up" else "",
        )
        self._save(self.state.with_ending(ended))
        words = outcome.replace("_", " ")
        by_hand = f"\nBy hand: {ended.command}" if ended.command else ""
        self.tell(f"{words}: {trigger.text}{f': {reason}' if reason else ''}{by_hand}")
        return ended

    def _make_request(self, trigger: Trigger) -> RunRequest:
        """The run of a trigger. Which spans it reads is fixed: one that comes meanwhile has a run of its own."""
        overrides = list(self.request.overrides)
        if self.request.warm_start and not self.config.training.warm_start_from:
            overrides.append(WARM_START)
        if self.request.events.spans and self.state.spans and triggers.watches_spans(self.config.data):
            newest = int(trigger.key) if trigger.kind == "span" else max(self._list_started_spans())
            first = f"{self.state.spans[0]}.." if self.config.data.spans == "all" else ""
            overrides.append(f"data.spans={first}{newest}")
        return RunRequest(config=self.request.config, root=self.request.root, overrides=tuple(overrides))

    def _list_started_spans(self) -> list[int]:
        """Spans that no waiting trigger stands for and whose files are there; else all."""
        waiting = {each.key for each in self.state.waiting if each.kind == "span"}
        spans = self.state.spans or ()
        there = set(spans)
        with contextlib.suppress(TaxiwayError):  # the run itself tells that the data cannot be read
            there = set(triggers.list_spans(self.config.data, 0.0, self._clock())[0])
        return [span for span in spans if str(span) not in waiting and span in there] or list(spans)

    def _save(self, state: WatchState) -> None:
        if state != self.state:
            write_state(self.folder, state)
            self.state = state


def _describe_code(code: int | None) -> str:
    from taxiway.components.processes.subprocesses import describe_exit

    return "it ended without a word" if code is None else f"it {describe_exit(code)}"


def watch_once(request: WatchRequest, tell: Callable[[str], None]) -> tuple[int, list[Ending | Trigger]]:
    """Looks once and runs what is due.

    Returns:
        The exit code of the first run that did not end well, else 0; and what ended or failed.

    Raises:
        AlreadyWatchedError: Another process watches.
        TaxiwayError: Configuration, data or state cannot be read.
    """
    watch = Watch(request, tell)
    prepare_root(watch.root)
    with run_process.hold_watch_lock(watch.folder):
        watch.state = read_state(watch.folder)  # what the watch before wrote until it let go
        watch.look()
        results = watch.run_due()
    codes = [_find_exit_code(each) for each in results]
    return next((code for code in codes if code), EXIT_LIVE), results


def _find_exit_code(result: Ending | Trigger) -> int:
    if isinstance(result, Ending) and result.outcome not in ("given_up", "blocked"):
        return EXIT_LIVE
    code = result.exit_code if isinstance(result, Ending) else result.last_exit_code
    return code if code and code > 0 else EXIT_FAILED


def watch_forever(
    request: WatchRequest, tell: Callable[[str], None], look_seconds: float, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Looks and runs until the process is told to end. What cannot be read is told once, and looked at again.

    Raises:
        AlreadyWatchedError: Another process watches.
        TaxiwayError: At the start: configuration or state cannot be read.
    """
    watch = Watch(request, tell)
    prepare_root(watch.root)
    with run_process.hold_watch_lock(watch.folder):
        watch.state = read_state(watch.folder)
        told = ""
        while True:
            try:
                watch.look()
                told = ""
            except TaxiwayError as error:
                if str(error) != told:
                    told = str(error)
                    tell(f"cannot look: {error}")
            watch.run_due()
            sleep(look_seconds)
