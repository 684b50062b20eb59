"""Arrow's csv reader over a Python stream, with nothing of it left running after an error.

Arrow reads ahead in a thread of its own and calls our stream from there. An error leaves that thread reading; where
Python ends meanwhile, the thread's next call ends the process with SIGABRT. So the reading is told to stop, and waited
for until Arrow has let go of the stream and of every block that it read.
"""

from __future__ import annotations

import codecs
import csv
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

BLOCKS_AHEAD = 12
"""That Arrow may hold unparsed. Its own limit is 32."""
SURPLUS_CELLS = 2048
"""A line may have so many cells more than there are columns; see `_check_cells`."""
_PATIENCE_SECONDS = 10.0
"""For one read of a slow disk or network that is under way when the reading is told to stop."""


class TooManyCellsError(ValueError):
    """A line has far more cells than the table has columns."""


class _TrackedBlock(bytearray):
    """Bytes with a weak reference, by which we see whether Arrow still holds them."""


@dataclass
class _StreamState:
    """The state that Arrow's thread and ours share.

    Attributes:
        stopped: Nothing is read any more.
        ended: Arrow has been given the end of the file, or an error, and asks no more.
        problem: The reason why a line was refused.
        failed: Whether an error ended the reading; its traceback holds the stream.
        held: The stream and the blocks that Arrow may have.
        last: The empty block that says the end.
    """

    stopped: bool = False
    ended: bool = False
    failed: bool = False
    problem: str = ""
    held: list[weakref.ref[Any]] = field(default_factory=list)
    last: weakref.ref[Any] | None = None

    def count_held(self) -> int:
        """The number of our objects that Arrow still holds."""
        self.held = [each for each in self.held if each() is not None]
        return len(self.held)

    def wait_for_quiet(self) -> None:
        """Waits until Arrow's thread calls Python no more. To drop the reader earlier would wait for that thread with
        Python's lock held, for ever."""
        self._wait_until(lambda: not self.count_held() or (self.ended and (self.last is None or self.last() is None)))

    def wait_for_release(self) -> None:
        """Waits until Arrow holds none of our objects, but for the one that an error's traceback holds."""
        self._wait_until(lambda: self.count_held() <= self.failed)

    @staticmethod
    def _wait_until(is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_done() and time.monotonic() < deadline:
            time.sleep(0.001)


class _ArrowStream:
    """The stream that Arrow reads from: it reads until it is told to stop, then returns the end of the file."""

    closed = False

    def __init__(self, stream: IO[bytes], encoding: str, columns: int, delimiter: str, state: _StreamState) -> None:
        self._stream, self._columns, self._delimiter, self._state = stream, columns, delimiter, state
        self._decode = None if _is_utf8(encoding) else codecs.getincrementaldecoder(encoding)().decode
        self._begun = 0

    def read(self, size: int = -1) -> _TrackedBlock:
        while self._state.count_held() >= BLOCKS_AHEAD and not self._state.stopped:
            time.sleep(0.002)  # Arrow's own queue never fills up, so that its thread always comes here again
        try:
            block = b"" if self._state.stopped else self._read_text(size)
        except BaseException:
            self._state.ended = self._state.failed = True
            raise
        held = _TrackedBlock(block)
        self._state.held.append(weakref.ref(held))
        if not block:
            self._state.ended, self._state.last = True, weakref.ref(held)
        return held

    def _read_text(self, size: int) -> bytes:
        block = self._stream.read(size)
        if self._decode:
            text = self._decode(block, not block)
            while block and not text:  # half a character
                block = self._stream.read(size)
                text = self._decode(block, not block)
            block = text.encode("utf-8", "surrogatepass")
        try:
            self._begun = _check_cells(block, self._begun, self._columns, self._delimiter)
        except TooManyCellsError as error:
            self._state.problem, self._state.stopped = str(error), True
            return b""
        return block

    def close(self) -> None:
        """The stream is closed by who opened it."""


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "").replace("_", "") == "utf8"


def _check_cells(block: bytes, begun: int, columns: int, delimiter: str) -> int:
    """Refuses lines that would make Arrow 10 write past the end of its buffer of cells.

    Arrow's parser reserves room for whole rows of the expected width and does not look whether a longer one still
    fits: a row of 33,000 cells in a file of three columns damages the process's memory.

    Args:
        block: Part of the file.
        begun: Cells of the line in whose middle the block begins.
        columns: The number of the table's columns.
        delimiter: One character.

    Returns:
        Cells of the line in whose middle the block ends.
    """
    content = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero((content == ord("\n")) | (content == ord("\r")))
    cells = np.cumsum(content == delimiter.encode("utf-8")[0])
    at_ends = cells[ends] if len(ends) else cells[:0]
    a_line = np.diff(at_ends, prepend=-begun)
    limit = columns + SURPLUS_CELLS
    for index in np.flatnonzero(a_line > limit):
        start = 0 if index == 0 else int(ends[index - 1]) + 1
        _count_line_cells(block[start : int(ends[index])], begun if index == 0 else 0, columns, delimiter)
    rest = block[int(ends[-1]) + 1 :] if len(ends) else block
    rest_cells = (int(cells[-1]) - (int(at_ends[-1]) if len(ends) else 0) if len(block) else 0) + (
        0 if len(ends) else begun
    )
    if rest_cells > limit:
        return _count_line_cells(rest, 0 if len(ends) else begun, columns, delimiter)
    return rest_cells


def _count_line_cells(line: bytes, before: int, columns: int, delimiter: str) -> int:
    """Counts the cells of one line as csv does: delimiters inside of quotes are text."""
    csv.field_size_limit(max(csv.field_size_limit(), len(line) + 1))
    text = line.replace(b"\0", b"").decode("latin-1")
    cells = before + len(next(csv.reader([text], delimiter=delimiter if delimiter.isascii() else ","), []))
    if cells > columns + SURPLUS_CELLS:
        raise TooManyCellsError(f"a line has {cells:,} cells or more, the table {columns:,} columns")
    return cells


def read_csv_batches(
    stream: IO[bytes],
    encoding: str,
    columns: int,
    read_options: pa_csv.ReadOptions,
    parse_options: pa_csv.ParseOptions,
    convert_options: pa_csv.ConvertOptions,
) -> Iterator[pa.RecordBatch]:
    """The batches of a csv stream.

    Args:
        stream: Open for reading; it is not closed here, and not read any more afterwards.
        encoding: The encoding of the text.
        columns: The number of the table's columns.
        read_options, parse_options, convert_options: Arrow's; it is given UTF-8.

    Raises:
        TooManyCellsError: A line has far more cells than the table has columns.
        UnicodeError: The text is not in the encoding.
        pyarrow.ArrowInvalid: What Arrow says of the text.
    """
    state = _StreamState()
    reader = batches = None
    try:
        reader = pa_csv.open_csv(
            _open_python_file(stream, encoding, columns, parse_options.delimiter, state),
            read_options=read_options,
            parse_options=parse_options,
            convert_options=convert_options,
        )
        batches = iter(reader)  # an error ends it; the reader must live until Arrow's thread is quiet
        while not state.problem and (batch := next(batches, None)) is not None:
            yield batch
    except pa.ArrowInvalid:
        if not state.problem:
            raise
    finally:
        state.stopped = True
        state.wait_for_quiet()
        batch = batches = reader = None  # this frame lives on in the error's traceback
        state.wait_for_release()
    if state.problem:
        raise TooManyCellsError(state.problem)


def _open_python_file(
    stream: IO[bytes], encoding: str, columns: int, delimiter: str, state: _StreamState
) -> pa.PythonFile:
    feed = _ArrowStream(stream, encoding, columns, delimiter, state)
    state.held.append(weakref.ref(feed))
    return pa.PythonFile(feed, mode="r")
