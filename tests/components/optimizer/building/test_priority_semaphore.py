from __future__ import annotations

import asyncio

from taxiway.components.optimizer.building.priority_semaphore import PrioritySemaphore


def run(work: list[tuple[str, int]], count: int = 1) -> tuple[list[str], int]:
    """Names in the order in which they got a slot, and how many held one at a time, at most."""
    order: list[str] = []
    held, most = 0, 0

    async def one(slots: PrioritySemaphore, name: str, rank: int) -> None:
        nonlocal held, most
        async with slots.hold_slot(rank):
            order.append(name)
            held, most = held + 1, max(most, held + 1)
            await asyncio.sleep(0)
            held -= 1

    async def everything() -> None:
        slots = PrioritySemaphore(count)
        await asyncio.gather(*(one(slots, name, rank) for name, rank in work))

    asyncio.run(everything())
    return order, most


def test_the_most_urgent_comes_first_and_among_equals_the_first():
    order, most = run([("a", 2), ("b", 2), ("c", 1), ("d", 2), ("e", 0)])
    assert order == ["a", "e", "c", "b", "d"]
    assert most == 1


def test_no_more_than_there_are_slots():
    order, most = run([(str(i), 0) for i in range(7)], 3)
    assert len(order) == 7
    assert most == 3


def test_a_failure_gives_its_slot_back():
    async def everything() -> str:
        slots = PrioritySemaphore(1)

        async def fails() -> None:
            async with slots.hold_slot(0):
                raise ValueError

        async def works() -> str:
            async with slots.hold_slot(0):
                return "worked"

        return (await asyncio.gather(fails(), works(), return_exceptions=True))[1]

    assert asyncio.run(everything()) == "worked"
