"""One thread that writes what requests leave, so that no request waits for a disk."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
LOG = logging.getLogger(__name__)
TICK_SECONDS = 1.0


class BackgroundWriter(Generic[T]):
    """A queue bounded by bytes and the thread that empties it. What does not fit is dropped and counted.

    Calls may come from several threads.
    """

    def __init__(
        self, name: str, write: Callable[[T], None], limit_bytes: int, tick: Callable[[], None] = lambda: None
    ) -> None:
        """Args:
        name: Name of the log, for messages.
        write: Function that writes one item. What it raises is logged once for each kind, and counted.
        limit_bytes: Bytes that may wait.
        tick: Function called about once a second and at the end, in the same thread.
        """
        self._name, self._write, self._tick = name, write, tick
        self._limit = limit_bytes
        self._waiting: deque[tuple[T, int]] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._counts = {"written": 0, "dropped": 0, "failed": 0}
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._write_all, name=f"{name}-log", daemon=True)
        self._thread.start()

    def put(self, item: T, byte_count: int) -> bool:
        """Hands an item over, and says whether there was room. Never waits for a disk."""
        with self._changed:
            if self._closed or self._waiting_bytes + byte_count > self._limit:
                self._counts["dropped"] += 1
                return False
            self._waiting.append((item, byte_count))
            self._waiting_bytes += byte_count
            self._changed.notify()
            return True

    def count_records(self) -> dict[str, int]:
        """`written`, `dropped` and `failed` so far."""
        with self._changed:
            return dict(self._counts)

    def close(self, seconds: float) -> bool:
        """Takes no more, writes what waits, and says whether that was done in the time."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _write_all(self) -> None:
        next_tick = time.monotonic() + TICK_SECONDS
        while True:
            with self._changed:
                if not self._waiting and not self._closed:
                    self._changed.wait(TICK_SECONDS)
                taken = self._waiting.popleft() if self._waiting else None
                ended = self._closed and taken is None
            if taken:
                self._write_one(*taken)
            if ended or time.monotonic() >= next_tick:
                self._call_guarded(self._tick)
                next_tick = time.monotonic() + TICK_SECONDS
            if ended:
                return

    def _write_one(self, item: T, byte_count: int) -> None:
        done = self._call_guarded(lambda: self._write(item))
        with self._changed:
            self._waiting_bytes -= byte_count
            self._counts["written" if done else "failed"] += 1

    def _call_guarded(self, work: Callable[[], None]) -> bool:
        """Whether the work was done. A log that cannot be written must not end the server."""
        try:
            work()
        except Exception as error:
            if str(error) not in self._told and len(self._told) < 100:
                self._told.add(str(error))
                LOG.error("the %s log cannot be written: %s", self._name, error)
            return False
        return True
