"""The errors that Taxiway raises on purpose.

::

    TaxiwayError                  exit code 1: something failed, the message says what and what to do
    ├── UsageError                exit code 2: the command, the configuration or the data description is wrong
    │   ├── ConfigError           a key or a value of the configuration
    │   └── DataError             the rows, the columns or the files
    ├── TrainingError             training could not finish
    │   └── TrainingStoppedError  exit code 75: started again, it goes on from the checkpoint
    ├── OptimizationError         the optimizer itself (a failed variant is a recorded result, not an error)
    ├── EngineError               Beam's engine or its workers cannot run our steps
    ├── ServingError              the serving directory or a server
    └── StoreError                the metadata store under the root

A user's mistake never shows a traceback: the command line prints the message of a `TaxiwayError` and ends with its
`exit_code`. Everything else is a bug and keeps its traceback in the log.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from taxiway.components.redaction import redact_secrets

_PACKAGE = Path(__file__).parents[1]


class TaxiwayError(Exception):
    """Root of all errors raised on purpose. Passwords of addresses in the messages are hidden.

    Args:
        problem: Sentence that says what is wrong, with the value.
        remedy: Sentence that says what is accepted and what to do next.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem, self.remedy = redact_secrets(problem), redact_secrets(remedy)
        super().__init__(self.problem, self.remedy)

    def __str__(self) -> str:
        return f"{self.problem}\n{self.remedy}" if self.remedy else self.problem


class UsageError(TaxiwayError):
    """The command, the configuration or the description of the data is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A key or a value of the configuration is wrong."""


class DataError(UsageError):
    """The files, the columns or the rows are not what the configuration says."""


class TrainingError(TaxiwayError):
    """Training could not finish."""


class OptimizationError(TaxiwayError):
    """The optimizer could not do its work. A variant that fails is recorded, not raised."""


class TrainingStoppedError(TrainingError):
    """Training was asked to end, or a member of its cluster is lost. Started again, it goes on from the checkpoint."""

    exit_code = 75
    """`EX_TEMPFAIL` of sysexits.h: the same command may succeed later."""


class EngineError(TaxiwayError):
    """Beam's engine, or a worker of it, is not there or cannot run our steps."""


class ServingError(TaxiwayError):
    """The serving directory, a servable or a server is not usable."""


class StoreError(TaxiwayError):
    """The metadata store under the root cannot be read or written."""


def serialize_error(error: Exception) -> dict[str, str]:
    """An error as JSON values, for `rebuild_error` in another process. Passwords in its words are hidden."""
    if not isinstance(error, TaxiwayError):
        name = type(error).__name__
        return {"error": redact_secrets(f"{name}: {error}"), "class": name}
    public = next(each.__name__ for each in type(error).__mro__ if each.__module__ == __name__)
    return {"error": str(error), "class": public, "problem": error.problem, "remedy": error.remedy}


def rebuild_error(content: Mapping[str, Any]) -> TaxiwayError | None:
    """The error of `serialize_error`, of the nearest class of this module; None where it was no `TaxiwayError`."""
    if "problem" not in content:
        return None
    kind: type[TaxiwayError] = globals()[content["class"]]
    return kind(content["problem"], content["remedy"])


def find_exit_code(content: Mapping[str, Any]) -> int:
    """The exit code of `serialize_error`'s error; 1 where it was no `TaxiwayError`."""
    error = rebuild_error(content)
    return error.exit_code if error else TaxiwayError.exit_code


def describe_foreign_error(error: BaseException) -> str:
    """An error of a user's code in a line: its class, its words, and the user's file and line where they are known."""
    said = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    place = _find_foreign_place(error)
    return redact_secrets(f"{said} ({place})" if place else said)


def _find_foreign_place(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}" if error.filename else ""
    ours = tuple(str(_PACKAGE / room) for room in ("components", "pipeline"))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", *ours))
        and not {"site-packages", "importlib"} & {*Path(frame.filename).parts}
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def suggest_matches(word: str, accepted: Iterable[str]) -> str:
    """A sentence with the known words nearest to `word`, or with the whole list where it is short."""
    accepted = sorted(accepted)
    near = difflib.get_close_matches(word, accepted, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Accepted: {', '.join(accepted)}." if len(accepted) <= 30 else ""
