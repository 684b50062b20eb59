from __future__ import annotations

import faulthandler
import os
import time

import pytest

from components.errors import OptimizationError
from components.optimizer import isolation


def refuse() -> None:
    raise OptimizationError("no such thing", "use another")


def test_a_value_comes_back():
    ended = isolation.call(lambda: {"pid": os.getpid()}, 10)
    assert ended.ok
    assert ended.value["pid"] != os.getpid()


def abort() -> None:
    faulthandler.disable()  # pytest's: its dump would read like a failure
    os.abort()


def test_an_abort_costs_the_child_only_and_is_named():
    ended = isolation.call(abort, 10)
    assert ended.error == "It ended its process with SIGABRT."


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (refuse, "no such thing\nuse another"),
        (lambda: os._exit(3), "exit code 3 and no answer"),
        (lambda: object(), "TypeError: Object of type object is not JSON serializable"),
    ],
)
def test_errors_come_back_as_text(work, error, capfd):
    ended = isolation.call(work, 10)
    assert not ended.ok
    assert error in ended.error


def test_a_piece_that_takes_too_long_is_killed():
    ended = isolation.call(lambda: time.sleep(600), 0.2)  # longer than the test's own time-out
    assert "did not end within" in ended.error
