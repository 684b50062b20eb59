"""A semaphore with a queue by rank."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PrioritySemaphore:
    """Limits how many tasks run at a time. A free slot goes to the lowest rank that waits, among equals to the first.

    Args:
        count: Number of slots.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = itertools.count()

    @asynccontextmanager
    async def hold_slot(self, rank: int) -> AsyncIterator[None]:
        """Waits for a slot and holds it within the `async with` block."""
        if self._free > 0:
            self._free -= 1
        else:
            mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (rank, next(self._arrivals), mine))
            await mine
        try:
            yield
        finally:
            self._release_slot()

    def _release_slot(self) -> None:
        while self._waiting:
            _, _, waiter = heapq.heappop(self._waiting)
            if not waiter.done():  # a cancelled waiter does not take it
                waiter.set_result(None)
                return
        self._free += 1
