"""What people did to a serving directory, and why: one JSON line an action in `<base>/.taxiway/actions.jsonl`."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from taxiway.components.files import durable_files
from taxiway.components.serving.versions.directory_lock import OWN_FOLDER

FILE = "actions.jsonl"
Kind = Literal["rollback", "promote", "demote", "promotion", "withdrawal", "share"]
"""The first three are of versions and labels, the others of a candidate."""


@dataclass(frozen=True)
class Actor:
    """Who acts, through what, and why.

    Attributes:
        user: Name of the person; by default that of the process's user.
        reason: Reason, in the person's words.
        through: `command line` or `ui`.
    """

    user: str = ""
    reason: str = ""
    through: str = "command line"

    @property
    def name(self) -> str:
        return self.user or get_user_name()


@dataclass(frozen=True)
class VersionAction:
    """One action that was done.

    Attributes:
        time: ISO 8601, UTC.
        kind: What was done.
        version: The version that it made (a rollback) or named (a label).
        label: The label; empty for a rollback.
        before: The version that was live, or had the label, before; None where there was none.
        user, reason, through: As in `Actor`.
    """

    time: str
    kind: Kind
    version: int
    label: str
    before: int | None
    user: str
    reason: str
    through: str


@dataclass(frozen=True)
class ActionLog:
    """What an action log holds.

    Attributes:
        actions: The actions, newest first.
        damaged_lines: Lines that are no action, such as a torn one.
    """

    actions: tuple[VersionAction, ...] = ()
    damaged_lines: int = 0


def append_action(base: Path, action: VersionAction) -> None:
    """Adds a line and syncs it. One `write` with O_APPEND: lines of two processes do not mix."""
    folder = base / OWN_FOLDER
    durable_files.make_folder(folder)
    line = json.dumps(asdict(action), ensure_ascii=False) + "\n"
    descriptor = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode("utf-8", "backslashreplace"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_action_log(base: Path) -> ActionLog:
    """The actions, newest first, and how many lines are none.

    Raises:
        OSError: There is a log that cannot be read.
    """
    try:
        text = (base / OWN_FOLDER / FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # nothing was done yet
        return ActionLog()
    parsed = [_parse_line(line) for line in reversed(text.split("\n")) if line.strip()]
    actions = tuple(action for action in parsed if action)
    return ActionLog(actions, len(parsed) - len(actions))


def _parse_line(line: str) -> VersionAction | None:
    """The action of a line; None where it is none: people and other programs may have written into the file."""
    try:
        action = VersionAction(**json.loads(line))
    except (TypeError, ValueError, RecursionError):
        return None
    texts = (action.time, action.label, action.user, action.reason, action.through)
    numbers = (action.version, *(() if action.before is None else (action.before,)))
    is_action = action.kind in get_args(Kind) and all(isinstance(text, str) for text in texts)
    return action if is_action and all(type(number) is int for number in numbers) else None


def get_user_name() -> str:
    """The process's user; empty in a container without a user database."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
