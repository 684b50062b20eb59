"""Runs a function in a forked process, where a converter may abort and TensorFlow may be set up again.

Importing TensorFlow costs seconds, a fork costs milliseconds. So one process imports everything and *starts* nothing:
no operation, no session, no eager tensor. Every task that does start TensorFlow runs in a fork of that process, with
a TensorFlow runtime and threads of its own. An abort ends that task only.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxiway.components import errors
from taxiway.components.files.durable_files import replace_file
from taxiway.components.processes import phases, subprocesses
from taxiway.components.processes.process_memory import GroupMemory

_OPERATION_ERROR = re.compile(r"([^\n]+)\n\s*\[\[\{\{node ")


@dataclass(frozen=True)
class ForkResult:
    """How a task ended: with a value that JSON can hold, or with an error of one paragraph."""

    value: Any
    error: str
    seconds: float
    timed_out: bool = False
    over_memory: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    """Fields of the error, by which `errors.rebuild_error` makes it again."""

    @property
    def ok(self) -> bool:
        return not self.error


def suggest_remedy(ended: ForkResult, time_remedy: str) -> str:
    """What to do where a step without which there is no result has ended so.

    Args:
        ended: How it ended.
        time_remedy: The remedy where it took too long.
    """
    if ended.over_memory:
        return "Give more memory (--memory), or less to hold: fewer rows (--rows), fewer variants (--variant)."
    return time_remedy if ended.timed_out else "Its log has the details."


async def run_fork(work: Callable[[], Any], timeout_seconds: float, memory_bytes: float | None = None) -> ForkResult:
    """Forks, calls `work` in the child and waits for what it returns; the event loop goes on while the child works.

    Args:
        work: Function whose value JSON can hold.
        timeout_seconds: Seconds after which the child is killed.
        memory_bytes: Memory of this process and all its children together, a page that they share counted once, above
            which the largest child is killed; None: no limit.

    Returns:
        The value; or the error it raised, the signal that ended it, or that it took too long. Never raises for these.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taxiway-") as folder:
        answer = Path(folder, "answer.json")
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            _run_child(work, answer, parent)
        memory = GroupMemory(memory_bytes) if memory_bytes else None
        status = await _wait_for_child(child, started + timeout_seconds, memory)
        seconds = time.monotonic() - started
        if status is None and memory and seconds < timeout_seconds:
            limit = f"{memory.limit_bytes / 1e9:.1f} GB"
            said = f"All processes together took more than {limit}, and it took the most: it was killed."
            return ForkResult(None, said, seconds, over_memory=True)
        if status is None:
            return ForkResult(None, f"It did not end within {timeout_seconds:.0f} s and was killed.", seconds, True)
        if answer.exists():
            message = json.loads(answer.read_text())
            details = message if "error" in message else {}
            return ForkResult(message.get("value"), message.get("error", ""), seconds, details=details)
        how = subprocesses.describe_exit(os.waitstatus_to_exitcode(status))
        return ForkResult(None, f"Its process {how} and gave no answer.", seconds)


def _run_child(work: Callable[[], Any], answer: Path, parent: int) -> None:
    """Everything the child does; it never returns."""
    if not subprocesses.request_death_signal(parent, signal.SIGKILL):  # a killed optimizer leaves no converter behind
        os._exit(1)
    try:
        with phases.record_phase("execute", getattr(work, "func", work).__name__.replace("_", " ")):
            message: dict[str, Any] = {"value": work()}
        text = json.dumps(message)
    except Exception as error:  # the parent records it as this variant's failure
        traceback.print_exc()
        text = json.dumps(_shorten_operation_error(errors.serialize_error(error)))
    replace_file(answer, text, sync=False)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # no atexit: they belong to the parent


def _shorten_operation_error(content: dict[str, str]) -> dict[str, str]:
    """Of an error within a graph, what the operation says; the call stack around it is in the log."""
    said = _OPERATION_ERROR.search(content["error"]) if "problem" not in content else None
    return {**content, "error": f"{content['class']}: {said[1].strip()}"} if said else content


async def _wait_for_child(child: int, deadline: float, memory: GroupMemory | None) -> int | None:
    """The child's wait status; None where it was killed, at the deadline or for its memory."""
    pause, status = 0.002, None
    try:
        while status is None and time.monotonic() <= deadline:
            ended, wait_status = os.waitpid(child, os.WNOHANG)
            if ended:
                status = wait_status
            elif memory and memory.is_exceeded() and memory.find_largest_child() == child:
                break  # another one, where that is larger, is ended by whoever waits for it
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.05)
    finally:  # at a limit, or when the caller stopped waiting
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return status
