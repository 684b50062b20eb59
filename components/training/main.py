"""The training process, and how to start it: `train` here, `python -m components.training.main` there."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

from components import subprocesses
from components.errors import TrainingError
from components.training.job import TrainingJob, TrainingResult

MODULE = "components.training.main"


def train(job: TrainingJob, log: str | Path) -> TrainingResult:
    """Trains in a process of its own and waits.

    Args:
        job: What is asked.
        log: File that takes the process's output.

    Raises:
        ConfigError, DataError: the job cannot be done as asked.
        TrainingError: training failed, or its process died.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    timeout = job.training.timeout_seconds or None
    outcome = subprocesses.run(MODULE, job.model_dump(mode="json"), log, timeout_seconds=timeout)
    subprocesses.raise_again(outcome, TrainingError)
    return TrainingResult.model_validate(outcome.result)


class _Termination:
    """Remembers SIGTERM. The loop looks between two calls, so that a checkpoint is whole."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._remember)

    def _remember(self, *_: Any) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


def work(content: dict[str, Any]) -> dict[str, Any]:
    """Trains in this process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    terminated = _Termination()
    from components.training.run import run_training  # the signal handler first: the imports take seconds

    return run_training(TrainingJob.model_validate(content), terminated).model_dump(mode="json")


if __name__ == "__main__":
    subprocesses.child_main(work)
