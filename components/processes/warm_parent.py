"""Forks children from a process that has imported what they need: a fork costs milliseconds, an import seconds.

It imports and starts nothing: no operation, no session, no device. So each child configures TensorFlow's devices and
threads as a fresh process does. It is asked over a socket, with a channel for each child on which it tells the child's
process id and wait status. Children get the caller's environment, folder and log, lead sessions of their own, and end
when it dies; it ends when its own parent does. A child that aborts ends alone.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taxiway.components.processes import subprocesses

MODULE = "taxiway.components.processes.warm_parent"
READ_LATER = ("TMPDIR", "CUDA_VISIBLE_DEVICES")
"""Variables that are read when they are needed, not at an import: a child's may differ from its warm parent's."""
_LENGTH = struct.Struct("!I")
_NUMBER = struct.Struct("!i")


class WarmChild:
    """A child of the warm parent, used as a `subprocess.Popen`: its process id, its end and signals to it."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._channel = channel

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end; the exit status as `subprocess` gives it.

        Raises:
            subprocess.TimeoutExpired: It goes on.
        """
        if self.returncode is None:
            self._channel.settimeout(timeout)
            try:
                status = _receive(self._channel, _NUMBER.size)
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0) from None
            # Where the warm parent was killed, its children were told to end, and none can say how.
            self.returncode = os.waitstatus_to_exitcode(_NUMBER.unpack(status)[0]) if status else -signal.SIGKILL
            self._channel.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit status; None while it goes on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(1e-3)
        return None

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self.send_signal(signal.SIGKILL)


class WarmParent:
    """The warm process, as its own parent sees it.

    Args:
        children: Modules that it may run.
        preloads: Modules that it imports first; one that cannot be imported is left to the child.
        log: File of what it prints itself.
    """

    def __init__(self, children: Sequence[str], preloads: Sequence[str], log: Path) -> None:
        self._children = frozenset(children)
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocesses.start_helper(MODULE, theirs.fileno(), preloads, log)

    def accepts(self, module: str, environment: Mapping[str, str]) -> bool:
        """Whether it forks children for this module, and none of the variables is one that an import may have read."""
        read_later = all(name in READ_LATER for name in environment)
        return module in self._children and read_later and self._process.poll() is None

    def fork_child(self, module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> WarmChild:
        """Forks a child; waits until the imports are done.

        Args:
            module: Module that the child runs as its main one.
            arguments: Its arguments.
            log: File that takes its output.
            environment: All of its variables.

        Raises:
            ConnectionError: The warm parent has died.
        """
        request = {"module": module, "arguments": [*arguments], "log": str(log), "environment": {**environment}}
        content = json.dumps({**request, "folder": str(Path.cwd())}).encode()
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            socket.send_fds(self._socket, [_LENGTH.pack(len(content))], [theirs.fileno()])
            self._socket.sendall(content)
        try:
            pid = _receive(ours, _NUMBER.size)
        except BaseException:
            ours.close()  # it forks no child for one who has gone
            raise
        if not pid:
            raise ConnectionError("The warm parent has died.")
        return WarmChild(ours, _NUMBER.unpack(pid)[0])

    def stop(self) -> None:
        """Ends it. Its children have ended, or end with it."""
        self._socket.close()
        subprocesses.end_process(self._process, grace_seconds=1.0)


@contextlib.contextmanager
def use_warm_parent(children: Sequence[str], preloads: Sequence[str], log: Path) -> Iterator[None]:
    """While the block runs, children for these modules are forked from a warm parent; see `WarmParent`.

    Call it from the main thread: the kernel tells the warm parent when the thread that started it ends.
    """
    warm = WarmParent(children, preloads, log)
    with subprocesses.prefer_forks(warm):
        try:
            yield
        finally:
            warm.stop()


# ---- in the warm process ----


def _serve_forks(control: socket.socket, preloads: Sequence[str]) -> None:
    """Imports, then forks children until the socket is closed."""
    for name in preloads:
        _import_quietly(name)
    waker, signalled = socket.socketpair()
    signalled.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # no handler would mean no wake-up
    signal.set_wakeup_fd(signalled.fileno(), warn_on_full_buffer=False)
    channels: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, waker], [], [])
        if waker in ready:
            with contextlib.suppress(BlockingIOError):
                waker.recv(4096)
        _report_ended(channels)
        if control in ready:
            channel, request = _receive_request(control)
            if request is None:
                return
            _fork_child(request, channel, channels, (control, waker, signalled))


def _import_quietly(name: str) -> None:
    try:
        importlib.import_module(name)
    except (ImportError, OSError):  # the child that needs it says so
        traceback.print_exc()


def _receive_request(control: socket.socket) -> tuple[Any, dict[str, Any] | None]:
    header, descriptors, _, _ = socket.recv_fds(control, _LENGTH.size, 1)
    if len(header) < _LENGTH.size or not descriptors:
        return None, None
    content = _receive(control, _LENGTH.unpack(header)[0])
    return socket.socket(fileno=descriptors[0]), json.loads(content) if content else None


def _receive(channel: socket.socket, size: int) -> bytes:
    """So many bytes; empty where the other side has gone."""
    content = b""
    while len(content) < size:
        with contextlib.suppress(ConnectionError):
            part = channel.recv(size - len(content))
            if part:
                content += part
                continue
        return b""
    return content


def _report_ended(channels: dict[int, socket.socket]) -> None:
    for pid in list(channels):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _tell(channels.pop(pid), status, last=True)


def _tell(channel: socket.socket, number: int, *, last: bool = False) -> None:
    with contextlib.suppress(OSError):  # nobody waits any more
        channel.sendall(_NUMBER.pack(number))
    if last:
        channel.close()


def _fork_child(
    request: dict[str, Any], channel: socket.socket, channels: dict[int, socket.socket], own: Sequence[socket.socket]
) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    if _has_gone(channel):
        channel.close()
        return
    parent, child = os.getpid(), os.fork()
    if child:
        _tell(channel, child)
        channels[child] = channel
        return
    code = 1
    try:
        for each in (*own, channel, *channels.values()):
            each.close()
        _become_child(request, parent)
        code = _run_main(request["module"])
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # no atexit: they belong to the warm parent


def _has_gone(channel: socket.socket) -> bool:
    """Whether nobody waits for the child any more: the run was interrupted while the imports went on."""
    with contextlib.suppress(BlockingIOError):
        return channel.recv(1, socket.MSG_DONTWAIT) == b""
    return False


def _become_child(request: dict[str, Any], parent: int) -> None:
    """What `start_module` gives a fresh process: session, output, folder, environment, arguments."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(request["folder"])  # before the log is opened, whose path may be relative
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(request["environment"] | subprocesses.name_parent(signal.SIGTERM, parent))
    tempfile.tempdir = None  # it is read from the environment once
    sys.argv[1:] = request["arguments"]


def _run_main(module: str) -> int:
    """Runs the module as the main one; returns the exit status that Python would give."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    subprocesses.end_with_parent()
    _serve_forks(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
