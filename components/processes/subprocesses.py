"""Runs a module in a Python process of its own: a JSON job in, a JSON result out, a log, a time-out.

TensorFlow's devices and threads cannot be configured any more in a process that has started it, and converters can
abort the process they run in. So training, measuring, converting and validating each run in a child process. It gets
the arguments `JOB_FILE RESULT_FILE`; its main module calls `run_child_main`. A child ends when its parent dies.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

from taxiway.components import errors
from taxiway.components.files.durable_files import replace_file
from taxiway.components.processes import phases
from taxiway.components.redaction import redact_secrets
from taxiway.environment import TENSORFLOW_ENVIRONMENT

GRACE_SECONDS = 20.0
"""Time that a child gets to save its work when the run is interrupted; a second signal ends the wait."""
TAIL_LINES = 15
RETRY_VARIABLE = "TAXIWAY_RETRY_EXIT_CODE"
_PARENT_VARIABLE = "TAXIWAY_PARENT_PROCESS"
_KEPT_VARIABLE = "TAXIWAY_KEPT_OPEN"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
CHILD_ENVIRONMENT = {**TENSORFLOW_ENVIRONMENT, "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def share_open_file(descriptor: int) -> Iterator[None]:
    """While this block runs, children and their children inherit an open file: a lock on it lasts as long as they."""
    status = os.fstat(descriptor)
    os.environ[_KEPT_VARIABLE] = f"{descriptor} {status.st_dev} {status.st_ino}"
    try:
        yield
    finally:
        os.environ.pop(_KEPT_VARIABLE, None)


def list_shared_files() -> tuple[int, ...]:
    """The argument `pass_fds` of `subprocess.Popen`: the file of `share_open_file`, here or in a parent process."""
    try:
        descriptor, device, inode = map(int, os.environ.get(_KEPT_VARIABLE, "").split())
        status = os.fstat(descriptor)
    except (ValueError, OSError):  # none, or this process did not inherit it
        return ()
    return (descriptor,) if (status.st_dev, status.st_ino) == (device, inode) else ()


class ChildProcess(Protocol):
    """What is used of a child: of a `subprocess.Popen`, or of one that another process has forked."""

    pid: int
    returncode: int | Any

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end; raises `subprocess.TimeoutExpired`."""

    def poll(self) -> int | None:
        """The exit status; None while it goes on."""

    def terminate(self) -> None:
        """Asks it to end."""

    def kill(self) -> None:
        """Ends it."""

    def send_signal(self, number: int, /) -> None:
        """Sends a signal, unless it has ended."""


class ForkingParent(Protocol):
    """A process that forks children which would otherwise be started; see `warm_parent`."""

    def accepts(self, module: str, environment: Mapping[str, str]) -> bool:
        """Whether it can fork a child for this module with these variables beside those of this process."""

    def fork_child(
        self, module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> ChildProcess:
        """Forks it; raises `ConnectionError` where it has died."""


_forking: ForkingParent | None = None


@contextlib.contextmanager
def prefer_forks(parent: ForkingParent) -> Iterator[None]:
    """While this block runs, children that `parent` accepts are forked from it."""
    global _forking
    before, _forking = _forking, parent
    try:
        yield
    finally:
        _forking = before


@dataclass(frozen=True)
class ChildOutcome:
    """How a child ended.

    Attributes:
        result: Value that the child returned; None unless it ended well.
        returncode: Exit status; negative is the signal that ended it; None after a time-out.
        error: One paragraph, empty when the child ended well.
        log: Path of the child's output; empty where it was not kept.
        log_tail: The output's last lines; empty when the child ended well.
        seconds: Wall time.
        details: Fields that the child wrote, such as the class of its error.
    """

    result: dict[str, Any] | None
    returncode: int | None
    error: str
    log: str
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)
    log_tail: str = ""

    @property
    def ok(self) -> bool:
        return self.result is not None


def make_command(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules in this Python, as `python -m` does, wherever the user stands."""
    return [sys.executable, str(Path(__file__).with_name("start_child.py")), module, *arguments]


def run_module(
    module: str,
    job: Mapping[str, Any],
    log: str | Path | None,
    *,
    timeout_seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> ChildOutcome:
    """Runs `module` on `job` and waits.

    Args:
        module: Dotted module whose `__main__` calls `run_child_main`.
        job: Values that JSON can hold.
        log: File that takes the child's standard output and error (appended); None: only the last lines are kept.
        timeout_seconds: After this the child and its children are killed.
        environment: Variables beside those of this process and of `CHILD_ENVIRONMENT`.

    Returns:
        The outcome. It never raises for what happens inside the child; an abort is an outcome too.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taxiway-") as folder:
        job_file, result_file, output = Path(folder, "job.json"), Path(folder, "result.json"), log or f"{folder}/log"
        job_file.write_text(json.dumps(job))
        variables = {"TMPDIR": folder, **(environment or {})}  # what a killed child leaves there goes with it
        child = start_module(module, job_file, result_file, output, environment=variables)
        returncode = _wait_for_child(child, timeout_seconds)
        answer, seconds = read_answer(result_file), time.monotonic() - started
        if returncode == 0 and "result" in answer:
            return ChildOutcome(answer["result"], 0, "", str(log or ""), seconds)
        tail = "\n".join(Path(output).read_text(errors="replace").splitlines()[-TAIL_LINES:])
    error = answer.get("error") or _describe_ending(module, returncode, timeout_seconds, log)
    return ChildOutcome(None, returncode, error, str(log or ""), seconds, answer, tail)


def run_module_checked(
    module: str,
    job: Mapping[str, Any],
    log: str | Path | None,
    otherwise: type[errors.TaxiwayError],
    *,
    timeout_seconds: float | None = None,
) -> dict[str, Any]:
    """The result of `run_module`.

    Raises:
        TaxiwayError: The child's error; see `raise_child_error`.
    """
    outcome = run_module(module, job, log, timeout_seconds=timeout_seconds)
    raise_child_error(outcome, otherwise)
    return outcome.result or {}


def start_module(
    module: str,
    job_file: Path,
    result_file: Path,
    log: str | Path | None,
    *,
    environment: Mapping[str, str],
    parent_death_signal: signal.Signals = signal.SIGTERM,
    new_session: bool = True,
) -> ChildProcess:
    """Starts a child on a job file; `run_module` without the waiting.

    Args:
        module: Module to run; see `run_module`.
        job_file: The job as JSON.
        result_file: Path that the child writes when it ends; `read_answer` reads it.
        log: File of the child's output; see `run_module`. None: it goes where this process's goes.
        environment: Variables of the child; see `run_module`.
        parent_death_signal: Signal that the child gets when this process dies.
        new_session: Whether the child leads a session, so that a time-out reaches its own children too.
    """
    variables = {**os.environ, **CHILD_ENVIRONMENT, **phases.name_component_for_child(), **environment}
    arguments = (str(job_file), str(result_file))
    if _forking and log and new_session and _forking.accepts(module, environment):
        with contextlib.suppress(ConnectionError):  # it has died: a fresh process does as well
            return _forking.fork_child(module, arguments, Path(log), variables)
    with open(log, "ab") if log else contextlib.nullcontext() as out:
        return subprocess.Popen(
            make_command(module, *arguments),
            stdout=out,
            stderr=subprocess.STDOUT if log else None,
            stdin=subprocess.DEVNULL,
            env={**variables, **name_parent(parent_death_signal)},
            pass_fds=list_shared_files(),
            start_new_session=new_session,
        )


def start_helper(module: str, descriptor: int, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts a child that serves this process over an open socket.

    Args:
        module: Module to run; see `run_module`.
        descriptor: The socket, which is its first argument.
        arguments: More arguments.
        log: File of its output.
    """
    with open(log, "ab") as out:
        return subprocess.Popen(
            make_command(module, str(descriptor), *arguments),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **CHILD_ENVIRONMENT, **phases.name_component_for_child(), **name_parent(signal.SIGTERM)},
            pass_fds=(descriptor, *list_shared_files()),
            start_new_session=True,
        )


def start_program(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts a program that is not ours; it gets SIGTERM when this process dies. Its output goes where ours goes.

    It leads a session: what kills this process with its group reaches it as SIGTERM, so that a container's engine ends
    the container too.
    """
    return subprocess.Popen(
        make_command("taxiway.components.processes.program", *argv),
        stdin=subprocess.DEVNULL,
        env={**os.environ, **name_parent(signal.SIGTERM)},
        start_new_session=True,
    )


def name_parent(death_signal: signal.Signals, parent: int | None = None) -> dict[str, str]:
    """The variable that `end_with_parent` reads, for a child of this process or of `parent`."""
    return {_PARENT_VARIABLE: f"{parent or os.getpid()} {death_signal.value}"}


def read_answer(result_file: Path) -> dict[str, Any]:
    """What a child wrote when it ended: `result`, or `error` and more about it; empty where it wrote nothing."""
    return dict(json.loads(result_file.read_text())) if result_file.exists() else {}


def _wait_for_child(child: ChildProcess, timeout_seconds: float | None) -> int | None:
    try:
        return child.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        return None
    except KeyboardInterrupt:  # also what SIGTERM becomes in `taxiway run`
        end_process(child)
        raise
    finally:  # a time-out, Ctrl-C, or grandchildren that outlived the child
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def end_process(process: ChildProcess, grace_seconds: float = GRACE_SECONDS) -> None:
    """Asks a process to end, so that training writes its checkpoint; kills it where it does not in time."""
    process.terminate()
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def describe_exit(returncode: int) -> str:
    """How a process ended, such as `was ended by SIGKILL`, from the return code as `subprocess` gives it."""
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"


def _describe_ending(module: str, returncode: int | None, timeout_seconds: float | None, log: str | Path | None) -> str:
    too_long = f"did not end within {timeout_seconds:g} s and was killed"
    how = too_long if returncode is None else describe_exit(returncode)
    return f"{module} {how}." + (f" Its log: {log}" if log else "")


def run_child_main(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The child's `main`: reads the job, calls `work`, writes what it returns or the error it raised.

    A `TaxiwayError` is written with its class, so that the parent can raise it again; the traceback goes to the log.
    """
    job_file, result_file = sys.argv[1:3]
    end_with_parent()
    try:
        with phases.record_phase("execute", "work"):
            answer: dict[str, Any] = {"result": work(json.loads(Path(job_file).read_text()))}
    except Exception as error:
        sys.stderr.write(redact_secrets(traceback.format_exc()))
        answer = errors.serialize_error(error)
    phases.record_packages()
    replace_file(Path(result_file), json.dumps(answer), sync=False)
    sys.exit(0 if "result" in answer else translate_exit_code(errors.find_exit_code(answer)))


def end_child(error: errors.TaxiwayError) -> NoReturn:
    """Ends the child at once, from any thread, with an error: other threads may wait for what will never come."""
    sys.stderr.write(f"{error}\n")
    _end_child_with(errors.serialize_error(error), error.exit_code)


def end_child_well(result: Mapping[str, Any]) -> NoReturn:
    """Ends the child at once with a result, whatever its other threads do."""
    _end_child_with({"result": dict(result)}, 0)


def _end_child_with(answer: dict[str, Any], code: int) -> NoReturn:
    replace_file(Path(sys.argv[2]), json.dumps(answer), sync=False)
    sys.stderr.flush()
    os._exit(translate_exit_code(code))


def translate_exit_code(code: int) -> int:
    """The code that says "start it again" to what started this process: 75, unless that has named another one."""
    retry = errors.TrainingStoppedError.exit_code
    return int(os.environ.get(RETRY_VARIABLE) or retry) if code == retry else code


def end_with_parent() -> None:
    """A killed run must not leave a child behind that goes on writing: training would go on beside the next run's.

    Only the child of `start_module` or `start_program` is meant, not what it starts itself.
    """
    parent, _, number = os.environ.pop(_PARENT_VARIABLE, "").partition(" ")
    if parent and not request_death_signal(int(parent), signal.Signals(int(number))):
        sys.exit(1)


def request_death_signal(parent: int, number: signal.Signals) -> bool:
    """Has the kernel send this process a signal when its parent dies; False where `parent` has died already.

    Linux only; elsewhere no signal will come.
    """
    with contextlib.suppress(AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    return os.getppid() == parent  # looked at afterwards: it may have died before the kernel was asked


def raise_child_error(outcome: ChildOutcome, otherwise: type[errors.TaxiwayError]) -> None:
    """Raises the child's own `TaxiwayError`, or `otherwise` with how the child ended. Nothing if it ended well."""
    if outcome.ok:
        return
    details = f"The log has the details: {outcome.log}" if outcome.log else outcome.log_tail
    raise errors.rebuild_error(outcome.details) or otherwise(outcome.error, details)
