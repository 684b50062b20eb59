"""Runs a module in a Python process of its own: a JSON job in, a JSON result out, a log, a time-out.

TensorFlow's devices and threads cannot be configured any more in a process that has started it, and converters can
abort the process they run in. So training, measuring, converting and validating each run in a child. The child is
`python -m MODULE JOB_FILE RESULT_FILE`; `child_main` is the other end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components import errors
from components.addresses import redact

GRACE_SECONDS = 20.0
"""For a child to write what it has when the run is interrupted; a second signal ends the wait."""
_PARENT_VARIABLE = "TAXIWAY_PARENT_PROCESS"
_KEPT_VARIABLE = "TAXIWAY_KEPT_OPEN"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
CHILD_ENVIRONMENT = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def keeping_open(descriptor: int) -> Iterator[None]:
    """While this block runs, children and their children inherit an open file: a lock on it lives as long as they."""
    status = os.fstat(descriptor)
    os.environ[_KEPT_VARIABLE] = f"{descriptor} {status.st_dev} {status.st_ino}"
    try:
        yield
    finally:
        os.environ.pop(_KEPT_VARIABLE, None)


def kept_open() -> tuple[int, ...]:
    """What `subprocess.Popen(pass_fds=)` is to be given: the file of `keeping_open`, here or in a parent process."""
    try:
        descriptor, device, inode = map(int, os.environ.get(_KEPT_VARIABLE, "").split())
        status = os.fstat(descriptor)
    except (ValueError, OSError):  # none, or this process did not inherit it
        return ()
    return (descriptor,) if (status.st_dev, status.st_ino) == (device, inode) else ()


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        result: What the child returned; None unless it ended well.
        returncode: Exit status; negative is the signal that ended it; None after a time-out.
        error: One paragraph, empty when the child ended well.
        log: Path of the child's output.
        seconds: Wall time.
    """

    result: dict[str, Any] | None
    returncode: int | None
    error: str
    log: str
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.result is not None


def run(
    module: str,
    job: Mapping[str, Any],
    log: str | Path,
    *,
    timeout_seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Runs `module` on `job` and waits.

    Args:
        module: Dotted module whose `__main__` calls `child_main`.
        job: JSON-serializable.
        log: File that takes the child's standard output and error (appended).
        timeout_seconds: After this the child and its children are killed.
        environment: Added to this process's environment and to `CHILD_ENVIRONMENT`.

    Returns:
        The outcome. It never raises for what happens inside the child; an abort is an outcome too.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taxiway-") as folder:
        job_file, result_file = Path(folder, "job.json"), Path(folder, "result.json")
        job_file.write_text(json.dumps(job))
        own = {_PARENT_VARIABLE: str(os.getpid()), "TMPDIR": folder}  # what a killed child leaves there goes with it
        with open(log, "ab") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", module, str(job_file), str(result_file)],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **CHILD_ENVIRONMENT, **own, **(environment or {})},
                pass_fds=kept_open(),
                start_new_session=True,  # so that a time-out reaches the grandchildren
            )
            returncode = _wait(child, timeout_seconds)
        answer = json.loads(result_file.read_text()) if result_file.exists() else {}
    seconds = time.monotonic() - started
    if returncode == 0 and "result" in answer:
        return Outcome(answer["result"], 0, "", str(log), seconds)
    error = answer.get("error") or _how_it_ended(module, returncode, timeout_seconds, str(log))
    return Outcome(None, returncode, error, str(log), seconds, answer)


def _wait(child: subprocess.Popen[bytes], timeout_seconds: float | None) -> int | None:
    try:
        return child.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        return None
    except KeyboardInterrupt:  # also what SIGTERM becomes in `taxiway run`
        _ask_to_end(child)
        raise
    finally:  # a time-out, Ctrl-C, or grandchildren that outlived the child
        _kill_group(child)


def _ask_to_end(child: subprocess.Popen[bytes]) -> None:
    """Training writes its checkpoint; what does not listen to SIGTERM ends at once."""
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def _how_it_ended(module: str, returncode: int | None, timeout_seconds: float | None, log: str) -> str:
    if returncode is None:
        return f"{module} did not end within {timeout_seconds:g} s and was killed. Its log: {log}"
    if returncode < 0:
        return f"{module} was ended by {signal.Signals(-returncode).name}. Its log: {log}"
    return f"{module} ended with exit code {returncode}. Its log: {log}"


def child_main(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The child's `main`: reads the job, calls `work`, writes what it returns or the error it raised.

    A `TaxiwayError` is written with its class, so that the parent can raise it again; the traceback goes to the log.
    """
    job_file, result_file = sys.argv[1:3]
    _end_with_parent()
    try:
        answer: dict[str, Any] = {"result": work(json.loads(Path(job_file).read_text()))}
    except errors.TaxiwayError as error:
        sys.stderr.write(redact(traceback.format_exc()))
        answer = {
            "error": str(error),
            "class": type(error).__name__,
            "problem": error.problem,
            "remedy": error.remedy,
        }
    except Exception as error:
        sys.stderr.write(redact(traceback.format_exc()))
        answer = {"error": redact(f"{type(error).__name__}: {error}"), "class": type(error).__name__}
    temporary = Path(result_file + ".tmp")
    temporary.write_text(json.dumps(answer))
    temporary.rename(result_file)  # whole or not there
    sys.exit(0 if "result" in answer else 1)


def _end_with_parent() -> None:
    """A killed run must not leave a child behind that goes on writing: training would go on beside the next run's.

    The kernel sends SIGTERM, so that training writes its checkpoint first. Only the child of `run` is meant, not what
    it starts itself.
    """
    parent = os.environ.pop(_PARENT_VARIABLE, "")
    if parent and not signalled_with(int(parent), signal.SIGTERM):
        sys.exit(1)


def signalled_with(parent: int, number: signal.Signals) -> bool:
    """Has the kernel send this process a signal when its parent dies; False where `parent` has died already.

    Linux only; elsewhere no signal will come.
    """
    with contextlib.suppress(AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    return os.getppid() == parent  # looked at afterwards: it may have died before the kernel was asked


def raise_again(outcome: Outcome, otherwise: type[errors.TaxiwayError]) -> None:
    """Raises the child's own `TaxiwayError`, or `otherwise` with how the child ended. Nothing if it ended well."""
    if outcome.ok:
        return
    own = getattr(errors, str(outcome.details.get("class", "")), None)
    if own is not None and "problem" in outcome.details:
        raise own(outcome.details["problem"], outcome.details["remedy"])
    raise otherwise(outcome.error, f"The log has the details: {outcome.log}")
