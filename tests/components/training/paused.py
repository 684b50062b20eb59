"""The training process that stops itself, as SIGSTOP does, some steps after a checkpoint: the test signals it then.

Nothing is left to the speed of the machine: it cannot have ended before the signal comes. The checkpoint must be of a
later step than the environment's `PAUSE_AFTER_STEP`.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from taxiway.components.processes import subprocesses
from taxiway.components.training import main

MODULE = "tests.components.training.paused"
PAUSE_AFTER_STEP = "PAUSE_AFTER_STEP"


def checkpoint_steps(folder: str | Path) -> list[int]:
    """The steps of the checkpoints that are there."""
    return [int(found.name.removeprefix("step-")) for found in Path(folder).glob("step-*")]


def work(content: dict[str, Any]) -> dict[str, Any]:
    from taxiway.components.training.loop import loop

    advance, after, paused = loop.Loop._advance_steps, int(os.environ[PAUSE_AFTER_STEP]), []

    def advance_and_pause(self: Any, steps: int) -> None:
        advance(self, steps)
        later = [step for step in checkpoint_steps(content["checkpoint_dir"]) if step > after]
        if later and self.step > max(later) and not paused:
            paused.append(self.step)
            os.kill(os.getpid(), signal.SIGSTOP)

    loop.Loop._advance_steps = advance_and_pause
    return main.run_job(content, MODULE)


if __name__ == "__main__":
    subprocesses.run_child_main(work)
