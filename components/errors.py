"""The errors that Taxiway raises on purpose.

::

    TaxiwayError                  exit code 1: something failed, the message says what and what to do
    ├── UsageError                exit code 2: the command, the configuration or the data description is wrong
    │   ├── ConfigError           a key or a value of the configuration
    │   └── DataError             the rows, the columns or the files
    ├── TrainingError             training could not finish
    ├── OptimizationError         the optimizer itself (a failed variant is a recorded result, not an error)
    ├── ServingError              the serving directory or a server
    └── StoreError                the metadata store under the root

A user's mistake never shows a traceback: the command line prints the message of a `TaxiwayError` and ends with its
`exit_code`. Everything else is a bug and keeps its traceback in the log.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from components.addresses import redact


class TaxiwayError(Exception):
    """Root of all errors raised on purpose. Passwords of addresses in their words are hidden.

    Args:
        problem: What is wrong, with the value that is wrong.
        remedy: What is accepted, and what to do next.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem, self.remedy = redact(problem), redact(remedy)
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


class ServingError(TaxiwayError):
    """The serving directory, a servable or a server is not usable."""


class StoreError(TaxiwayError):
    """The metadata store under the root cannot be read or written."""


def close_matches(word: str, known: Iterable[str]) -> str:
    """The sentence that offers the known words nearest to `word`, or the whole list when it is short."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Accepted: {', '.join(known)}." if len(known) <= 30 else ""
