"""The display of a run that works: a live line on a terminal, plain lines elsewhere.

TFX, Beam and TensorFlow write to standard output and standard error. While they work, both descriptors of the process
lead into the run's log, and the display keeps a duplicate of the real ones.
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

from taxiway.pipeline.console import printing
from taxiway.pipeline.tracking.run_record import BLOCKS, NodeRecord

PLAIN_MESSAGE_SECONDS = 15.0
"""On no terminal, a node's messages come at most this often: a log of lines is read, not watched."""
POLL_SECONDS = 0.2
NODE_WIDTH = 19

BEFORE_NODES = "TFX"
"""What is shown as running until the first node begins: the import."""

MARKS = {
    "done": ("✓", "green"),
    "cached": ("=", "cyan"),
    "skipped": ("–", "yellow"),
    "failed": ("✗", "red"),
    "interrupted": ("✗", "red"),
}
BLOCKED = ("!", "bold yellow")


class RunDisplay(Protocol):
    """Shows a run while it works."""

    def start_node(self, node: str) -> None:
        """A node runs now."""

    def show_message(self, node: str, text: str, fraction: float | None) -> None:
        """The progress of a node; `fraction` is the share that is done, 0 to 1."""

    def end_node(self, record: NodeRecord) -> None:
        """A node is over."""

    def end_step(self, step: str) -> None:
        """What was shown as a node and is none is over, if it was shown at all."""

    def print_line(self, text: str) -> None:
        """A line about the run."""

    def close(self) -> None:
        """Nothing more follows."""


class PlainDisplay:
    """One line a node, for logs and pipes."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._last_message = 0.0

    def start_node(self, node: str) -> None:
        self._last_message = self._clock()

    def show_message(self, node: str, text: str, fraction: float | None) -> None:
        if self._clock() - self._last_message >= PLAIN_MESSAGE_SECONDS:
            self._last_message = self._clock()
            self.print_line(f"  {node}: {text}")

    def end_node(self, record: NodeRecord) -> None:
        self._console.print(format_node(record), soft_wrap=True)

    def end_step(self, step: str) -> None:
        """There is no line of it."""

    def print_line(self, text: str) -> None:
        self._console.print(printing.escape_lines(text), soft_wrap=True)

    def close(self) -> None:
        """Nothing to take down."""


class LiveDisplay:
    """The nodes that are over as lines, those that run as spinners with their own words below them."""

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
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def start_node(self, node: str) -> None:
        self._tasks[node] = self._progress.add_task("", node=node, total=None)

    def show_message(self, node: str, text: str, fraction: float | None) -> None:
        if node in self._tasks:
            share = {} if fraction is None else {"total": 1.0, "completed": min(fraction, 1.0)}
            self._progress.update(self._tasks[node], description=printing.escape_markup(text), **share)  # type: ignore[arg-type]

    def end_node(self, record: NodeRecord) -> None:
        self._clear_task(record.node)
        self._progress.console.print(format_node(record))

    def end_step(self, step: str) -> None:
        self._clear_task(step)

    def print_line(self, text: str) -> None:
        self._progress.console.print(printing.escape_lines(text))

    def close(self) -> None:
        for node in list(self._tasks):
            self._clear_task(node)
        self._progress.stop()

    def _clear_task(self, node: str) -> None:
        if node in self._tasks:
            self._progress.remove_task(self._tasks.pop(node))


def format_node(record: NodeRecord) -> str:
    """One ended node in rich's markup: mark, name, time, state where it is not plain success, reason."""
    blocks = record.state in ("done", "cached") and record.reason.startswith(BLOCKS)
    mark, colour = BLOCKED if blocks else MARKS.get(record.state, ("?", "white"))
    seconds = (
        printing.format_seconds(record.seconds) if record.seconds is not None and record.state != "skipped" else ""
    )
    state = "" if record.state == "done" else record.state
    reason = printing.escape_lines(record.reason)
    words = f"{state}: {reason}" if state and reason else state or reason
    style = "dim" if colour in ("green", "cyan") else colour
    return f"[{colour}]{mark}[/] {record.node:<{NODE_WIDTH}} {seconds:>10}  [{style}]{words}[/]"


def make_display(console: Console) -> RunDisplay:
    """The live display on a terminal, the plain one elsewhere."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


@contextlib.contextmanager
def redirect_output(log: Path, *, stderr: bool = False) -> Iterator[Console]:
    """Sends everything that this process and its children print into `log`.

    Args:
        log: File that is appended to.
        stderr: Whether the console writes to the real standard error instead of the real standard output.

    Yields:
        A console on the real stream.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    stream = _ConsoleStream(os.dup(kept[1 if stderr else 0]))
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    with open(1, "w", buffering=1, closefd=False) as out, open(2, "w", buffering=1, closefd=False) as err:
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):  # they need not be 1 and 2
                yield _make_console(stream)
        finally:
            _restore_descriptors(kept)
            stream.close()


class _ConsoleStream(io.TextIOWrapper):
    """A console's stream. A run continues after its reader has closed the pipe, as in `taxiway run | head`."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(io.FileIO(descriptor, "w"), encoding="utf-8", write_through=True)

    def write(self, text: str) -> int:
        with contextlib.suppress(BrokenPipeError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            super().flush()


def _restore_descriptors(kept: Sequence[int]) -> None:
    os.dup2(kept[0], 1)
    os.dup2(kept[1], 2)
    for descriptor in kept:
        os.close(descriptor)


def _make_console(stream: TextIO) -> Console:
    return printing.SafeConsole(file=stream, width=None if stream.isatty() else printing.PLAIN_WIDTH)


class ProgressFollower:
    """Reads the progress file that components append to, and shows each line."""

    def __init__(self, path: Path, show: Callable[[str, str, float | None], None]) -> None:
        self._path, self._show = path, show
        self._offset = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll_file, name="progress", daemon=True)

    def __enter__(self) -> ProgressFollower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _poll_file(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.show_new_lines()

    def show_new_lines(self) -> None:
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
