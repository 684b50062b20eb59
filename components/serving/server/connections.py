"""HTTP connections with limits that uvicorn does not have: their number, and the time of each thing a client does.

uvicorn itself closes a connection that is idle after an answer (`timeout_keep_alive`) and refuses too large headers. It
waits for ever for a first request, for a header that comes byte by byte, for the rest of a body that was refused, and
for a client that does not take its answer.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from taxiway.components.serving.protocol.limits import Limits

LINGER_SECONDS = 2.0
"""For a client to notice an answer that came before the end of its body."""
STOP_SECONDS = 1.0
"""For the rest of a body when the server stops."""
_FULL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LimitedConnection(H11Protocol):
    """One connection. At most one timer runs for what the client has to do next."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._made_at = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections and not self._make_room():
            transport.write(_FULL)
            transport.close()
            return
        self._start_timer("request", self._limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_at_work:
            self._stop_timer("request")
        elif "request" not in self._timers and self.conn.their_state is h11.IDLE:
            self._start_timer("request", self._limits.header_seconds)
        if self.conn.their_state is not h11.SEND_BODY:
            self._stop_timer("rest of a body")

    def on_response_complete(self) -> None:
        if self.conn.their_state is h11.SEND_BODY:
            self._start_timer("rest of a body", LINGER_SECONDS)
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_timer("reading", self._limits.send_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_timer("reading")

    def shutdown(self) -> None:
        """Asked by uvicorn when the server stops: a request that has arrived is answered, others are given up soon."""
        super().shutdown()
        if self.is_at_work and self.conn.their_state is h11.SEND_BODY:
            self._start_timer("body", STOP_SECONDS)

    @property
    def is_at_work(self) -> bool:
        """A request is being received or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> bool:
        """Closes another connection that waits for its client: the idle and the slow do not keep others out."""
        waiting = [other for other in self.connections if isinstance(other, LimitedConnection) and other.is_waiting]
        oldest = min(
            (other for other in waiting if other is not self), key=lambda other: other._closing_rank, default=None
        )
        if oldest is None:
            return False
        self.connections.discard(oldest)
        oldest.transport.abort()
        return True

    @property
    def is_waiting(self) -> bool:
        """The client has to do the next thing: name a request, or send the rest of one."""
        return not self.is_at_work or self.conn.their_state is h11.SEND_BODY

    @property
    def _closing_rank(self) -> tuple[bool, float]:
        """Idle ones go before those that send a body, and old ones before new ones."""
        return self.is_at_work, self._made_at

    def _start_timer(self, what: str, seconds: float) -> None:
        self._stop_timer(what)
        self._timers[what] = self.loop.call_later(seconds, self._give_up, what)

    def _stop_timer(self, what: str) -> None:
        timer = self._timers.pop(what, None)
        if timer:
            timer.cancel()

    def _give_up(self, what: str) -> None:
        if what == "body" and self.conn.their_state is not h11.SEND_BODY:
            return  # it has arrived and is being answered
        self.transport.abort()


def make_protocol(limits: Limits) -> Callable[..., asyncio.Protocol]:
    """What makes the connections of a server, for uvicorn's option `http`."""
    return functools.partial(LimitedConnection, limits=limits)
