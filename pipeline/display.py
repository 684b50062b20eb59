"""How a run looks while it runs: a live line on a terminal, plain lines elsewhere.

TFX, Beam and TensorFlow write to standard output and error as they please. While they work, both descriptors of the
process lead into the run's log, and the display keeps a duplicate of the real ones.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from pipeline import output
from pipeline.record import BLOCKS, NodeRecord

PLAIN_MESSAGE_SECONDS = 15.0
"""On no terminal, a node's messages come at most this often: a log of lines is read, not watched."""
POLL_SECONDS = 0.2
NODE_WIDTH = 19

MARKS = {
    "done": ("✓", "green"),
    "cached": ("=", "cyan"),
    "skipped": ("–", "yellow"),
    "failed": ("✗", "red"),
    "interrupted": ("✗", "red"),
}
BLOCKED = ("!", "bold yellow")


class Display(Protocol):
    """Where a run is shown."""

    def started(self, node: str) -> None:
        """A node runs now."""

    def message(self, node: str, text: str, fraction: float | None) -> None:
        """What a node says of itself; `fraction` is the share that is done, 0 to 1."""

    def ended(self, record: NodeRecord) -> None:
        """A node is over."""

    def say(self, text: str) -> None:
        """A line about the run."""

    def close(self) -> None:
        """Nothing more follows."""


class PlainDisplay:
    """One line a node, for logs and pipes."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._last_message = 0.0

    def started(self, node: str) -> None:
        self._last_message = self._clock()

    def message(self, node: str, text: str, fraction: float | None) -> None:
        if self._clock() - self._last_message >= PLAIN_MESSAGE_SECONDS:
            self._last_message = self._clock()
            self.say(f"  {node}: {text}")

    def ended(self, record: NodeRecord) -> None:
        self._console.print(node_line(record), soft_wrap=True)

    def say(self, text: str) -> None:
        self._console.print(output.plain_lines(text), soft_wrap=True)

    def close(self) -> None:
        """Nothing to take down."""


class LiveDisplay:
    """The nodes that are over as lines, the one that runs as a spinner with its own words below them."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(style="cyan", finished_text=" "),
            TextColumn("{task.fields[node]:<" + str(NODE_WIDTH) + "}", style="bold"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.description}"),
            console=console,
            transient=True,
            redirect_stdout=False,  # what others print belongs in the log, not above the live line
            redirect_stderr=False,
        )
        self._task: TaskID | None = None
        self._node = ""
        self._progress.start()

    def started(self, node: str) -> None:
        self._clear()
        self._node = node
        self._task = self._progress.add_task("", node=node, total=None)

    def message(self, node: str, text: str, fraction: float | None) -> None:
        if self._task is not None and node == self._node:
            share = {} if fraction is None else {"total": 1.0, "completed": min(fraction, 1.0)}
            self._progress.update(self._task, description=output.plain(text), **share)  # type: ignore[arg-type]

    def ended(self, record: NodeRecord) -> None:
        self._clear()
        self._progress.console.print(node_line(record))

    def say(self, text: str) -> None:
        self._progress.console.print(output.plain_lines(text))

    def close(self) -> None:
        self._clear()
        self._progress.stop()

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def node_line(record: NodeRecord) -> str:
    """One ended node in rich's markup: mark, name, time, state where it is not plain success, reason."""
    blocks = record.state in ("done", "cached") and record.reason.startswith(BLOCKS)
    mark, colour = BLOCKED if blocks else MARKS.get(record.state, ("?", "white"))
    seconds = output.seconds(record.seconds) if record.seconds is not None and record.state != "skipped" else ""
    state = "" if record.state == "done" else record.state
    reason = output.plain_lines(record.reason)
    words = f"{state}: {reason}" if state and reason else state or reason
    style = "dim" if colour in ("green", "cyan") else colour
    return f"[{colour}]{mark}[/] {record.node:<{NODE_WIDTH}} {seconds:>10}  [{style}]{words}[/]"


def make_display(console: Console) -> Display:
    """The live display on a terminal, the plain one elsewhere."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


@contextlib.contextmanager
def quiet(log: Path, *, stderr: bool = False) -> Iterator[Console]:
    """Sends everything that this process and its children print into `log`.

    Args:
        log: Appended to.
        stderr: The console is to write to the real standard error instead of the real standard output.

    Yields:
        A console on the real stream.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    stream = _Stream(os.dup(kept[1 if stderr else 0]))
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    with open(1, "w", buffering=1, closefd=False) as out, open(2, "w", buffering=1, closefd=False) as err:
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):  # they need not be 1 and 2
                yield _console(stream)
        finally:
            _restore(kept)
            stream.close()


class _Stream(io.TextIOWrapper):
    """A console's stream. A run goes on where nobody reads any more, as after `taxiway run | head`."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(io.FileIO(descriptor, "w"), encoding="utf-8", write_through=True)

    def write(self, text: str) -> int:
        with contextlib.suppress(BrokenPipeError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            super().flush()


def _restore(kept: Sequence[int]) -> None:
    os.dup2(kept[0], 1)
    os.dup2(kept[1], 2)
    for descriptor in kept:
        os.close(descriptor)


def _console(stream: TextIO) -> Console:
    return output.Console(file=stream, width=None if stream.isatty() else output.PLAIN_WIDTH)


class Follower:
    """Reads the progress file that components append to, and shows each line."""

    def __init__(self, path: Path, show: Callable[[str, str, float | None], None]) -> None:
        self._path, self._show = path, show
        self._offset = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.poll()

    def poll(self) -> None:
        """Shows what was appended since the last time: whole lines only."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._show_line(line)

    def _show_line(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # a torn line is not worth a run
            entry = json.loads(line)
            self._show(str(entry["component"]), str(entry["message"]), entry.get("fraction"))
