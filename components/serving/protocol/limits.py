"""Limits of one server: counts, a budget of memory, and the time of one request. Imports nothing heavy.

A limit on the size of a message does not bound the memory that the message takes once it is parsed and computed. So
every request reserves that memory in one budget for the whole server before it is parsed, and gives it back when it is
answered.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taxiway.components.serving.protocol.api_errors import ApiError, ErrorCode, make_invalid_argument_error

ROW_BYTES = 4096
"""Counted for each row while a model computes: about 1,000 floats between its layers."""
VALUE_BYTES = 48
"""Counted for each value of a tensor: in the message, in NumPy, in TensorFlow, and a text's own object."""
JSON_VALUE_BYTES = 112
"""Counted for each JSON value: Python's object, its place in two lists, and in the array."""
JSON_BODY_FACTOR = 3
"""A JSON text is held as bytes, as text, and as the texts in it."""
ANSWER_FACTOR = 8
"""An array of an answer becomes Python numbers and text before it is sent."""
QUEUE_SECONDS = 10.0
"""How long a request waits for memory that others hold."""
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Limits:
    """What a server takes; the defaults of `taxiway serve` and of the server's own options are these.

    Attributes:
        request_bytes: Size of one message or body.
        bodies_bytes: Size of all REST bodies that are being received or worked on.
        memory_bytes: Memory of all requests, counted as what they become.
        answer_bytes: Size of the arrays of one answer.
        rows: Rows of one request.
        threads: Requests computed at once, over REST and over gRPC each.
        connections: Connections open at once, over REST and over gRPC each.
        header_seconds: Time for a connection to name its request.
        body_seconds: Time for a body to arrive; `request_bodies.STALL_SECONDS` without a byte of it end it too.
        compute_seconds: Time for the answer; a client's own deadline counts where it is shorter.
        send_seconds: Time for a client to take the answer.
    """

    request_bytes: int = 64_000_000
    bodies_bytes: int = 256_000_000
    memory_bytes: int = 2_048_000_000
    answer_bytes: int = 64_000_000
    rows: int = 100_000
    threads: int = 16
    connections: int = 256
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    compute_seconds: float = 60.0
    send_seconds: float = 60.0


class RequestDeadline:
    """One request's time: until its deadline, and for as long as its client is there."""

    def __init__(self, seconds: float, is_active: Callable[[], bool] = lambda: True) -> None:
        self._deadline = time.monotonic() + seconds
        self._is_active = is_active

    @property
    def remaining_seconds(self) -> float:
        return self._deadline - time.monotonic()

    def check_active(self) -> None:
        """Raises:
        ApiError: The client has gone, or its time is over.
        """
        if not self._is_active():
            raise ApiError(ErrorCode.CANCELLED, "The client has ended the request")
        if self.remaining_seconds <= 0:
            raise ApiError(ErrorCode.DEADLINE_EXCEEDED, "The time for this request is over")


class MemoryBudget:
    """Bytes that all requests together may hold. Calls may come from several threads."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self._held = 0
        self._changed = threading.Condition()

    @property
    def held_bytes(self) -> int:
        return self._held

    def take_bytes(self, amount: int) -> bool:
        """Takes bytes if they are free, and says whether they were."""
        with self._changed:
            if self._held + amount > self.total_bytes:
                return False
            self._held += amount
            return True

    def give_back(self, amount: int) -> None:
        """Gives back what was taken."""
        with self._changed:
            self._held -= amount
            self._changed.notify_all()

    @contextlib.contextmanager
    def reserve_bytes(self, amount: int, call: RequestDeadline) -> Iterator[Reservation]:
        """Holds bytes for one request, waiting for them while others hold them.

        Raises:
            ApiError: INVALID_ARGUMENT where the whole budget is too small, UNAVAILABLE where it stays taken.
        """
        self._check_total(amount)
        self._wait_for_bytes(amount, call)
        reservation = Reservation(self, amount)
        try:
            yield reservation
        finally:
            self.give_back(reservation.held_bytes)

    def _check_total(self, amount: int) -> None:
        if amount > self.total_bytes:
            raise make_invalid_argument_error(
                f"The request would take up to {amount / 1e6:.0f} MB of memory, the server has "
                f"{self.total_bytes / 1e6:.0f} MB for all requests: send fewer rows at once, "
                "or start the server with a larger --max-memory-mb",
            )

    def _wait_for_bytes(self, amount: int, call: RequestDeadline) -> None:
        until = time.monotonic() + QUEUE_SECONDS
        while not self.take_bytes(amount):
            call.check_active()
            if time.monotonic() >= until:
                raise _make_exhausted_error()
            with self._changed:
                self._changed.wait(_LOOK_SECONDS)


class Reservation:
    """What one request holds of a budget."""

    def __init__(self, budget: MemoryBudget, held_bytes: int) -> None:
        self._budget, self.held_bytes = budget, held_bytes

    def grow_to(self, amount: int) -> None:
        """Holds at least `amount`. Does not wait: requests that hold and wait would wait for one another.

        Raises:
            ApiError: There is not so much.
        """
        more = amount - self.held_bytes
        if more <= 0:
            return
        self._budget._check_total(amount)
        if not self._budget.take_bytes(more):
            raise _make_exhausted_error()
        self.held_bytes = amount


def _make_exhausted_error() -> ApiError:
    return ApiError(ErrorCode.UNAVAILABLE, "The memory for requests is taken by others; ask again")


def estimate_json_bytes(body: bytes | bytearray) -> int:
    """At most what a JSON text becomes in memory: every comma and bracket may stand beside a value."""
    values = 1 + sum(body.count(mark) for mark in (b",", b"[", b"{"))
    return len(body) * JSON_BODY_FACTOR + values * JSON_VALUE_BYTES
