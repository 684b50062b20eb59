"""Receives the bodies of REST requests within their limits: of one, of all together, and of time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from taxiway.components.serving.protocol.limits import Limits, MemoryBudget

STALL_SECONDS = 10.0
"""A body of which nothing arrives for so long is given up."""


class BodyError(Exception):
    """A body that is not received.

    Attributes:
        status: HTTP's number for it.
        message: Sentence that says what is wrong and what is accepted.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class RequestBodies:
    """Of all requests of one server."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._budget = MemoryBudget(limits.bodies_bytes)

    @property
    def held_bytes(self) -> int:
        """Of all bodies that are being received or worked on."""
        return self._budget.held_bytes

    @contextlib.contextmanager
    def reserve_body(self) -> Iterator[RequestBody]:
        """A place for one body; what it holds is given back at the end."""
        body = RequestBody(self._limits, self._budget)
        try:
            yield body
        finally:
            body.drop_content()


class RequestBody:
    """One body as it arrives."""

    def __init__(self, limits: Limits, budget: MemoryBudget) -> None:
        self._limits, self._budget = limits, budget
        self._content = bytearray()

    async def read_body(self, request: Request) -> bytearray:
        """Receives it.

        Raises:
            BodyError: 413: it is too large; 503: others hold the memory; 408: it is too slow.
            ClientDisconnect: The client has gone.
        """
        if _read_declared_bytes(request) > self._limits.request_bytes:
            raise self._make_too_large_error()
        until, more = time.monotonic() + self._limits.body_seconds, True
        while more:
            message = await self._receive_message(request, until)
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._add_chunk(message.get("body", b""))
            more = message.get("more_body", False)
        return self._content

    def drop_content(self) -> None:
        """Forgets what was received."""
        size, self._content = len(self._content), bytearray()
        self._budget.give_back(size)

    async def _receive_message(self, request: Request, until: float) -> Message:
        # Not asyncio.wait_for: before Python 3.12 it loses its time-out when a message comes at the same moment.
        arriving = asyncio.ensure_future(request.receive())
        try:
            left = min(STALL_SECONDS, until - time.monotonic())
            arrived, _ = await asyncio.wait({arriving}, timeout=max(0.0, left))
        finally:
            arriving.cancel()  # what has arrived stays arrived
        if not arrived or left <= 0:
            raise BodyError(408, self._format_slow())
        return arriving.result()

    def _add_chunk(self, chunk: bytes) -> None:
        if len(self._content) + len(chunk) > self._limits.request_bytes:
            raise self._make_too_large_error()
        if not self._budget.take_bytes(len(chunk)):
            held = self._limits.bodies_bytes
            raise BodyError(503, f"The bodies of other requests take up the {held} bytes there are; ask again")
        self._content += chunk

    def _make_too_large_error(self) -> BodyError:
        return BodyError(
            413,
            f"The request is larger than {self._limits.request_bytes} bytes: send fewer rows at once, "
            "or start the server with a larger --max-request-mb",
        )

    def _format_slow(self) -> str:
        limit = self._limits.body_seconds
        return f"The body did not arrive within {limit:g} s, or nothing of it for {min(STALL_SECONDS, limit):g} s"


def _read_declared_bytes(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared[:20]) if declared.isascii() and declared.isdigit() else 0
