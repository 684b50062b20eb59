"""The training process, and how to start it: `train` here, `python -m components.training.main` there."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from components import subprocesses
from components.errors import TrainingError
from components.training import cluster
from components.training.job import TrainingJob, TrainingResult

MODULE = "components.training.main"
CLUSTER_STRATEGIES = ("multi_worker_mirrored", "parameter_server")


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
    """Trains: in this process, as a task of the cluster that TF_CONFIG names, or by starting a local cluster."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    job, terminated = TrainingJob.model_validate(content), _Termination()
    if job.training.strategy in CLUSTER_STRATEGIES:
        if cluster.task_of_environment() is None:
            return _start_cluster(job, terminated)
        _end_with_parent()
    from components.training.run import run_training  # not before: the watcher of a cluster needs no TensorFlow

    return run_training(job, terminated).model_dump(mode="json")


def _start_cluster(job: TrainingJob, terminated: _Termination) -> dict[str, Any]:
    if job.checkpoint_dir:
        return cluster.Cluster(job, MODULE, terminated).run()
    with tempfile.TemporaryDirectory(prefix="taxiway-cluster-") as folder:
        return cluster.Cluster(job.model_copy(update={"checkpoint_dir": folder}), MODULE, terminated).run()


def _end_with_parent() -> None:
    """A task of a local cluster must not outlive the process that watches it."""
    if cluster.HEARTBEAT_VARIABLE not in os.environ:
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    subprocesses.child_main(work)
