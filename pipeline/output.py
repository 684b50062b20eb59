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

from components.printable_text import visible, visible_lines

PLAIN_WIDTH = 140
"""Columns where the output is no terminal: a file or a pipe has no width, and cut cells help nobody."""


class Console(rich.console.Console):
    """A console that shows what it prints: no control character of a name or a value reaches the terminal.

    What is printed through it may still hold rich's markup: `plain` is for texts that must not.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(highlight=False, emoji=False, **settings)  # `:car:` is a name, not a picture

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rich's own, with all text made visible; movements of the cursor are segments of their own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)


def console(stderr: bool = False) -> Console:
    """A console on a standard stream; wide where it is no terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PLAIN_WIDTH)


def plain(text: object) -> str:
    """A name, a value, a path or a message as rich prints it in one line: no markup, no control characters."""
    return escape(visible(str(text)))


def plain_lines(text: object) -> str:
    """The same for a text whose line ends stay."""
    return escape(visible_lines(str(text)))


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def print_table(what: Any) -> None:
    """Anything that rich can show."""
    console().print(what)


def print_notes(notes: Iterable[str]) -> None:
    """Sentences beside an answer, on standard error: what is piped on stays what it was."""
    for note in notes:
        console(stderr=True).print(f"note: {note}", markup=False, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> Table:
    """A plain table.

    Args:
        title: Above it, left; no markup.
        columns: Headings; no markup.
        rows: Cells; None is shown as an en dash. Markup is obeyed: `plain` is for what comes from data.
        right: Headings of the columns that are aligned right: numbers.
    """
    made = Table(
        title=plain(title) or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        made.add_column(
            plain(column), justify="right" if column in right else "left", header_style="dim", overflow="fold"
        )
    for row in rows:
        made.add_row(*("–" if cell is None else visible_lines(str(cell)) for cell in row))
    return made


def seconds(value: float | None) -> str:
    """`0.3 s`, `42 s`, `3 min 05 s`."""
    if value is None:
        return "–"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 99.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def number(value: float | None, digits: int = 4) -> str:
    """A metric's value, or an en dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def moment(seconds_since_1970: float | None) -> str:
    """Local time to the second."""
    if not seconds_since_1970:
        return "–"
    return datetime.datetime.fromtimestamp(seconds_since_1970).strftime("%Y-%m-%d %H:%M:%S")


def size(total_bytes: float | None) -> str:
    """`812 B`, `3.4 kB`, `12.0 MB`."""
    if total_bytes is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if total_bytes >= scale:
            return f"{total_bytes / scale:.1f} {unit}"
    return f"{total_bytes:.0f} B"
