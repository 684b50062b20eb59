"""What a watch knows, has begun and has ended: `<root>/watch/<model>/state.json`, replaced whole at every step.

Nothing heavy is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from taxiway.components.config_section import Section
from taxiway.components.errors import StoreError
from taxiway.components.files.durable_files import make_folder, replace_file
from taxiway.components.files.versioned_report import WATCH_STATE
from taxiway.pipeline.root import Root

STATE_FILE = "state.json"
KEPT_ENDINGS = 200

Kind = Literal["span", "schedule", "verdict"]
Outcome = Literal["live", "unchanged", "done", "blocked", "given_up", "superseded"]


class Trigger(Section):
    """One reason for a run, found once. It waits until its run has ended, or was given up."""

    kind: Kind
    key: str
    """Number of the span, moment of the schedule (UTC), or id of the verdict."""
    text: str
    """What a person reads."""
    found: float
    """Seconds since 1970, as all times here."""
    version: int | None = None
    """The version that a verdict is about; with another version live it is of no use any more."""
    attempts: int = 0
    """Runs that were begun for it."""
    lost: int = 0
    """Of these, runs that ended without a word together with their watch: nobody knows why."""
    not_before: float = 0.0
    """When it may be tried again."""
    last_error: str = ""
    """How the last attempt failed."""
    last_exit_code: int | None = None
    """Its exit code; negative: the signal that ended it."""


class Attempt(Section):
    """The run that was begun for the first waiting trigger."""

    id: str
    """Word in the run's `started_by`, by which the run is found again."""
    started: float


class Ending(Section):
    """How a trigger ended."""

    kind: Kind
    key: str
    text: str
    outcome: Outcome
    """`live`, `done`: by its run; `unchanged`: the live version is from the same inputs already, nothing was run;
    `blocked`: a gate said no; `given_up`: the last permitted run failed; `superseded`: a verdict on a version that is
    no longer live, no run was begun."""
    exit_code: int | None = None
    run_id: str = ""
    reason: str = ""
    attempts: int = 0
    ended: float
    command: str = ""
    """Of one that was given up: what runs it by hand."""


class WatchState(Section):
    """Everything that must survive the end of a watch, whichever way it ends."""

    version: Literal[1] = 1
    """Of this format."""
    config: str = ""
    """The configuration file, for those who look."""
    spans: tuple[int, ...] | None = None
    """Spans that were there at the first look, or have become triggers; None before the first look."""
    schedule: str = ""
    zone: str = ""
    last_moment: float | None = None
    """Of the schedule: the newest moment that has become a trigger, or when its watch began."""
    verdicts: tuple[str, ...] = ()
    """Verdicts that have become triggers or were passed over, of those that are still there."""
    waiting: tuple[Trigger, ...] = ()
    """In the order in which they run."""
    running: Attempt | None = None
    ended: tuple[Ending, ...] = Field(default=())
    """The newest last."""

    def with_ending(self, ending: Ending) -> WatchState:
        """The state once its first waiting trigger has ended."""
        kept = (*self.ended, ending)[-KEPT_ENDINGS:]
        return self.model_copy(update={"waiting": self.waiting[1:], "running": None, "ended": kept})

    def with_first_put_aside(self) -> WatchState:
        """The state without its first waiting trigger, a verdict's, which a later look finds again."""
        known = tuple(each for each in self.verdicts if each != self.waiting[0].key)
        return self.model_copy(update={"waiting": self.waiting[1:], "verdicts": known})

    def with_first(self, trigger: Trigger, running: Attempt | None) -> WatchState:
        """The state with another first waiting trigger."""
        return self.model_copy(update={"waiting": (trigger, *self.waiting[1:]), "running": running})


def get_folder(root: Root, model: str) -> Path:
    """The folder of a model's watch: its state and its locks."""
    return root.watch / model


def read_state(folder: Path) -> WatchState:
    """The state; a new one where nothing has watched here yet.

    Raises:
        StoreError: The file is damaged, or of another format version.
    """
    file = folder / STATE_FILE
    try:
        return WatchState.model_validate(WATCH_STATE.read_report(file))
    except FileNotFoundError:
        return WatchState()
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, OSError) as error:
        raise StoreError(
            f"{file} is damaged: {error}.",
            "Delete it: the watch begins anew with the spans, verdicts and moments from now on.",
        ) from error


def write_state(folder: Path, state: WatchState) -> None:
    """Replaces the state, whole or not at all.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        make_folder(folder)
        replace_file(folder / STATE_FILE, state.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise StoreError(
            f"{folder / STATE_FILE} cannot be written: {error.strerror or error}.",
            "Make room or mend the rights there; nothing more was begun.",
        ) from error


def list_watched_models(root: Root) -> Iterable[str]:
    """Names of the models that were watched under a root."""
    return sorted(file.parent.name for file in root.watch.glob(f"*/{STATE_FILE}"))
