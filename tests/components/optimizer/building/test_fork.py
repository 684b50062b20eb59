from __future__ import annotations

import asyncio
import dataclasses
import faulthandler
import gc
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer.building import fork
from taxiway.components.processes.process_memory import list_processes, measure_proportional_bytes


def run_and_wait(work: Callable[[], Any], timeout_seconds: float) -> fork.ForkResult:
    return asyncio.run(fork.run_fork(work, timeout_seconds))


def refuse() -> None:
    raise OptimizationError("no such thing", "use another")


def test_a_value_comes_back():
    ended = run_and_wait(lambda: {"pid": os.getpid()}, 10)
    assert ended.ok
    assert ended.value["pid"] != os.getpid()


def abort() -> None:
    faulthandler.disable()  # pytest's: its dump would read like a failure
    os.abort()


def test_an_abort_costs_the_child_only_and_is_named():
    ended = run_and_wait(abort, 10)
    assert ended.error == "Its process was ended by SIGABRT and gave no answer."


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (refuse, "no such thing\nuse another"),
        (lambda: os._exit(3), "exit code 3 and gave no answer"),
        (lambda: object(), "TypeError: Object of type object is not JSON serializable"),
    ],
)
def test_errors_come_back_as_text(work, error, capfd):
    ended = run_and_wait(work, 10)
    assert not ended.ok
    assert error in ended.error


def test_a_piece_that_takes_too_long_is_killed():
    ended = run_and_wait(lambda: time.sleep(600), 0.2)  # longer than the test's own time-out
    assert "did not end within" in ended.error


MOST_MEGABYTES = 600


def hold_memory(megabytes: int, until: Path) -> int:
    block = write_block(megabytes)
    while not until.exists():
        time.sleep(0.05)
    return len(block)


def take_memory(megabytes: int) -> None:
    """Takes more and more: this process may meanwhile give back what it had when the limit was set.

    Where nobody ends it, it takes no more than `MOST_MEGABYTES`, and the test ends by its time-out.
    """
    blocks = [write_block(megabytes)]
    while sum(map(len, blocks)) < MOST_MEGABYTES * 1_000_000:
        time.sleep(0.2)
        blocks.append(write_block(20))
    time.sleep(600)


def write_block(megabytes: int) -> bytearray:
    block = bytearray(megabytes * 1_000_000)
    for page in range(0, len(block), 4096):
        block[page] = 1
    return block


def run_two_above_a_limit(ended: Path) -> list[dict[str, Any]]:
    """One child that holds 150 MB until `ended` is there, and one that takes more and more; both share a limit."""
    gc.collect()
    own = measure_proportional_bytes(list_processes())

    async def run_both() -> list[fork.ForkResult]:
        small, large = (
            asyncio.create_task(fork.run_fork(work, 100, own + 320e6))
            for work in (partial(hold_memory, 150, ended), partial(take_memory, 250))
        )
        await large
        ended.touch()
        return [await small, await large]

    return [dataclasses.asdict(result) for result in asyncio.run(run_both())]


def test_the_limit_of_memory_is_one_for_all_children_and_the_largest_is_ended(tmp_path):
    """Both together pass the limit; when they do, the one that takes more is ended, and the other goes on."""
    # In a process of its own: this one may have children of other tests, of which one is the largest.
    both = run_and_wait(partial(run_two_above_a_limit, tmp_path / "ended"), 250)
    assert both.ok, both
    small, large = (fork.ForkResult(**result) for result in both.value)
    assert large.over_memory and not large.timed_out, large
    assert small.value == 150_000_000, small
    assert "together took more than" in large.error and "--memory" in fork.suggest_remedy(large, "")
