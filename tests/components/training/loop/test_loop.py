"""The outer loop alone, without a model: how many steps a call takes, and which actions it runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from taxiway.components.training import TrainingConfig
from taxiway.components.training.loop import loop
from taxiway.components.training.loop.loop import Action, Loop


class Stepper:
    """Takes a millisecond a step, and a second more for the first call, which traces."""

    def __init__(self, **settings: Any) -> None:
        self.config = TrainingConfig.model_validate({"global_batch_size": 10, **settings})
        self.step, self.replicas = SimpleNamespace(numpy=lambda: 0), SimpleNamespace(average_values=list)
        self.calls: list[int] = []
        self.traces, self.now, self.compiled = 0, 0.0, False

    def open_data(self, source: Any, first_step: int) -> None: ...

    def run_steps(self, data: Any, num_steps: Any, sums: Any) -> dict[str, Any]:
        steps = int(num_steps)
        self.calls.append(steps)
        self.now += steps / 1000 + (0 if self.traces else 1)
        self.traces = 1
        return {"sums": sums, "norm": 1.0, "finite": True, "done": steps}


def run(monkeypatch: pytest.MonkeyPatch, stepper: Stepper, steps: int, *actions: Action) -> Loop:
    monkeypatch.setattr(loop.time, "monotonic", lambda: stepper.now)
    made = Loop(stepper, None, steps, actions)  # type: ignore[arg-type]
    assert made.run_to_end() == "done"
    return made


def test_calls_grow_until_they_take_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = Stepper()
    made = run(monkeypatch, stepper, 3000)
    assert stepper.calls[:7] == [16, 16, 32, 64, 128, 256, 256], "the call that traced is not judged"
    assert made.settled
    assert sum(stepper.calls) == 3000


def test_a_set_number_of_steps_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = Stepper(steps_per_loop=7)
    run(monkeypatch, stepper, 20)
    assert stepper.calls == [7, 7, 6]


def test_a_call_ends_where_an_action_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    class Every10(Action):
        seen: list[int] = []

        def next_step(self, step: int) -> int:
            return step // 10 * 10 + 10

        def run_action(self, loop: Loop) -> None:
            self.seen.append(loop.step)

    stepper = Stepper()
    made = run(monkeypatch, stepper, 25, Every10())
    assert stepper.calls == [10, 10, 5]
    assert Every10.seen == [10, 20]
    assert made.seconds_left == 0.0
