"""Runs a function in a forked process: converters may abort, and devices and threads may be set up anew, in there.

Importing TensorFlow costs seconds, a fork costs milliseconds. So one process imports everything and *starts* nothing:
no operation, no session, no eager tensor. Every piece of work that does start TensorFlow runs in a fork of it, with a
runtime, threads and a fate of its own. An abort costs that piece only.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import errors, subprocesses


@dataclass(frozen=True)
class Ended:
    """How a piece of work ended: with a JSON-serializable value, or with an error of one paragraph."""

    value: Any
    error: str
    seconds: float
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        return not self.error


def call(work: Callable[[], Any], timeout_seconds: float) -> Ended:
    """Forks, calls `work` in the child and waits for what it returns.

    Args:
        work: Returns what JSON can hold.
        timeout_seconds: After this the child is killed.

    Returns:
        The value; or the error it raised, the signal that ended it, or that it took too long. Never raises for these.
    """
    return asyncio.run(run(work, timeout_seconds))


async def run(work: Callable[[], Any], timeout_seconds: float) -> Ended:
    """`call` for several pieces of work at a time: the event loop goes on while the child works."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taxiway-") as folder:
        answer = Path(folder, "answer.json")
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            _child(work, answer, parent)
        status = await _wait(child, started + timeout_seconds)
        seconds = time.monotonic() - started
        if status is None:
            return Ended(None, f"It did not end within {timeout_seconds:.0f} s and was killed.", seconds, True)
        if answer.exists():
            told = json.loads(answer.read_text())
            return Ended(told.get("value"), told.get("error", ""), seconds)
        return Ended(None, _how(status), seconds)


def _child(work: Callable[[], Any], answer: Path, parent: int) -> None:
    """Everything the child does; it never returns."""
    if not subprocesses.signalled_with(parent, signal.SIGKILL):  # a killed optimizer leaves no converter behind
        os._exit(1)
    try:
        told: dict[str, Any] = {"value": work()}
        text = json.dumps(told)
    except errors.TaxiwayError as error:
        traceback.print_exc()
        text = json.dumps({"error": str(error)})
    except Exception as error:  # the parent records it as this variant's failure
        traceback.print_exc()
        text = json.dumps({"error": f"{type(error).__name__}: {error}"})
    temporary = answer.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.rename(answer)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # no atexit: they belong to the parent


async def _wait(child: int, deadline: float) -> int | None:
    """The child's wait status; None where it was killed at the deadline."""
    pause, status = 0.002, None
    try:
        while status is None and time.monotonic() <= deadline:
            ended, found = os.waitpid(child, os.WNOHANG)
            if ended:
                status = found
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.05)
    finally:  # the deadline, or whoever waited gave up
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return status


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"It ended its process with {signal.Signals(os.WTERMSIG(status)).name}."
    return f"Its process ended with exit code {os.WEXITSTATUS(status)} and no answer."
