"""What commands print: JSON alone on standard output, or rich tables."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from taxiway.components.text.printable import escape_multiline, escape_text

PLAIN_WIDTH = 140
"""Columns where the output is no terminal: a file or a pipe has no width, and cut cells would lose data."""


class SafeConsole(rich.console.Console):
    """A console that shows what it prints: no control character of a name or a value reaches the terminal.

    What is printed through it may still hold rich's markup: `escape_markup` is for texts that must not.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(highlight=False, emoji=False, **settings)  # `:car:` is a name, not a picture

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rich's own, with all text made visible; movements of the cursor are segments of their own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape_multiline(segment.text), segment.style)


def make_console(stderr: bool = False) -> SafeConsole:
    """A console on a standard stream; wide where it is no terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return SafeConsole(stderr=stderr, width=None if stream.isatty() else PLAIN_WIDTH)


def escape_markup(text: object) -> str:
    """A name, a value, a path or a message as rich prints it in one line: no markup, no control characters."""
    return escape(escape_text(str(text)))


def escape_lines(text: object) -> str:
    """The same for a text whose line ends stay."""
    return escape(escape_multiline(str(text)))


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def print_renderable(what: Any) -> None:
    """Anything that rich can show."""
    make_console().print(what)


def print_notes(notes: Iterable[str]) -> None:
    """Sentences beside an answer, on standard error: what is piped on stays what it was."""
    for note in notes:
        make_console(stderr=True).print(f"note: {note}", markup=False, soft_wrap=True)


def make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> Table:
    """A plain table.

    Args:
        title: Above it, left; no markup.
        columns: Headings; no markup.
        rows: Cells; None is shown as an en dash. Markup is obeyed: `escape_markup` is for what comes from data.
        right: Headings of the columns that are aligned right: numbers.
    """
    table = Table(
        title=escape_markup(title) or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        table.add_column(
            escape_markup(column), justify="right" if column in right else "left", header_style="dim", overflow="fold"
        )
    for row in rows:
        table.add_row(*("–" if cell is None else escape_multiline(str(cell)) for cell in row))
    return table


def format_seconds(value: float | None) -> str:
    """`0.3 s`, `42 s`, `3 min 05 s`."""
    if value is None:
        return "–"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 99.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def format_number(value: float | None, digits: int = 4) -> str:
    """A metric's value, or an en dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def format_time(seconds_since_1970: float | None) -> str:
    """Local time to the second."""
    if not seconds_since_1970:
        return "–"
    return datetime.datetime.fromtimestamp(seconds_since_1970).strftime("%Y-%m-%d %H:%M:%S")


def format_bytes(total_bytes: float | None) -> str:
    """`812 B`, `3.4 kB`, `12.0 MB`."""
    if total_bytes is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if total_bytes >= scale:
            return f"{total_bytes / scale:.1f} {unit}"
    return f"{total_bytes:.0f} B"
