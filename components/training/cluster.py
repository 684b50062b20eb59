"""A local cluster of training processes, watched: started, restarted from the checkpoint, and ended.

The process that runs this is no member of the cluster and loads no TensorFlow. Each task is a training process with a
`TF_CONFIG` of its own. Its log lies beside the checkpoints, one file a task.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components import errors
from components.errors import TrainingError
from components.subprocesses import CHILD_ENVIRONMENT, kept_open
from components.training.config import ClusterConfig
from components.training.job import TrainingJob

LOG = logging.getLogger(__name__)

HEARTBEAT_VARIABLE = "TAXIWAY_HEARTBEAT_FILE"
RESTARTS_VARIABLE = "TAXIWAY_RESTARTS_FILE"
POLL_SECONDS = 0.1


@dataclass
class Task:
    """One member of the cluster."""

    kind: str
    index: int
    address: str
    log: Path
    result_file: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"{self.kind} {self.index}"

    @property
    def result(self) -> dict[str, Any] | None:
        """What the task wrote before it ended, if it did."""
        return json.loads(self.result_file.read_text()) if self.result_file.exists() else None

    def death(self) -> str:
        """How the task ended; empty while it lives or when it ended well."""
        code = self.process.poll() if self.process else None
        if not code:
            return ""
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


@dataclass
class Cluster:
    """Runs a job on a local cluster.

    Args:
        job: With a cluster strategy and a checkpoint folder.
        module: The tasks' main module.
        terminated: Whether this process was asked to end.
    """

    job: TrainingJob
    module: str
    terminated: Callable[[], bool]
    tasks: list[Task] = field(default_factory=list)
    restarts: int = 0

    def __post_init__(self) -> None:
        self.config: ClusterConfig = self.job.training.cluster
        self.folder = Path(self.job.checkpoint_dir, "cluster")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.heartbeat, self.restarts_file = self.folder / "heartbeat", self.folder / "restarts.jsonl"

    def run(self) -> dict[str, Any]:
        """Runs to the end. Returns the chief's result.

        Raises:
            TrainingError: a task died more than `max_restarts` times, or the cluster never came up.
            TaxiwayError: what the chief itself raised.
        """
        try:
            self._start_all()
            while True:
                result = self._look()
                if result is not None:
                    return result
                time.sleep(POLL_SECONDS)
        finally:
            self._stop_all()

    def _look(self) -> dict[str, Any] | None:
        """One look at everything: the chief's result, an end, or None where there is nothing to do."""
        if self.terminated():
            self._stop_all(signal.SIGTERM)
            raise self._own_error() or TrainingError("Training was asked to end (SIGTERM).", "Run it again to go on.")
        answer = self.chief.result
        if answer is not None and "result" in answer:
            return answer["result"]
        own = self._own_error()
        if own is not None:
            raise own
        for task in self.tasks:
            if task.death():
                self._restart(task, task.death())
                return None
        self._check_heartbeat()
        return None

    @property
    def chief(self) -> Task:
        return self.tasks[0]

    def _own_error(self) -> errors.TaxiwayError | None:
        """A mistake that a task found in the job: to start again would not mend it."""
        for task in self.tasks:
            answer = task.result or {}
            kind = getattr(errors, str(answer.get("class", "")), None)
            if kind is not None and "problem" in answer:
                return kind(answer["problem"], answer["remedy"])
        return None

    def _check_heartbeat(self) -> None:
        if self.heartbeat.exists():
            silent, limit = time.time() - self.heartbeat.stat().st_mtime, self.config.step_timeout_seconds
            what = "made no step"
        else:
            silent, limit = time.time() - self.started, self.config.start_timeout_seconds
            what = "did not come up"
        if silent > limit:
            self._restart(self.chief, f"{what} for {limit:g} s", everything=True)

    def _restart(self, task: Task, why: str, everything: bool = False) -> None:
        """Starts the cluster again from the checkpoint; a worker of a parameter-server cluster, it alone."""
        self.restarts += 1
        event = {"task": task.name, "why": why, "log": str(task.log), "number": self.restarts, "time": time.time()}
        LOG.warning("%s %s; its log: %s", task.name, why, task.log)
        if self.restarts > self.config.max_restarts:
            raise TrainingError(
                f"The task {task.name} {why}, after {self.restarts - 1} restarts (training.cluster.max_restarts).",
                f"Its log has the details: {task.log}",
            )
        with open(self.restarts_file, "a", encoding="utf-8") as out:
            out.write(json.dumps(event) + "\n")
        alone = self.job.training.strategy == "parameter_server" and task.kind == "worker" and not everything
        if alone:
            self._start(task)
        else:
            self._stop_all()
            self._start_all()

    def _start_all(self) -> None:
        self.heartbeat.unlink(missing_ok=True)
        self.started = time.time()
        addresses = _free_addresses(sum(count for _, count in self._kinds()))
        self.tasks = [
            Task(kind, i, next(addresses), self.folder / f"{kind}-{i}.log", self.folder / f"{kind}-{i}.result.json")
            for kind, count in self._kinds()
            for i in range(count)
        ]
        for task in self.tasks:
            self._start(task)

    def _kinds(self) -> list[tuple[str, int]]:
        """Kinds of tasks and how many; the first task is the chief."""
        if self.job.training.strategy == "multi_worker_mirrored":
            return [("worker", self.config.workers)]
        return [("chief", 1), ("worker", self.config.workers), ("ps", self.config.parameter_servers)]

    def _start(self, task: Task) -> None:
        task.result_file.unlink(missing_ok=True)
        cluster: dict[str, list[str]] = {}
        for member in self.tasks:
            cluster.setdefault(member.kind, []).append(member.address)
        job_file = self.folder / "job.json"
        job_file.write_text(self.job.model_dump_json())
        environment = {
            **os.environ,
            **CHILD_ENVIRONMENT,
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": task.kind, "index": task.index}}),
            HEARTBEAT_VARIABLE: str(self.heartbeat),
            RESTARTS_VARIABLE: str(self.restarts_file),
        }
        if task is not self.chief:
            environment.pop("TAXIWAY_PROGRESS_FILE", None)
        with open(task.log, "ab") as log:
            command = [sys.executable, "-m", self.module, str(job_file), str(task.result_file)]
            task.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                pass_fds=kept_open(),
            )
        (self.folder / f"{task.kind}-{task.index}.pid").write_text(str(task.process.pid))

    def _stop_all(self, first: signal.Signals = signal.SIGKILL) -> None:
        """Ends every task; with SIGTERM first they get `grace_seconds` to save."""
        alive = [t.process for t in self.tasks if t.process and t.process.poll() is None]
        for process in alive:
            process.send_signal(first)
        deadline = time.monotonic() + (self.config.grace_seconds if first != signal.SIGKILL else 0)
        while first != signal.SIGKILL and time.monotonic() < deadline and self._saving():
            time.sleep(POLL_SECONDS)
        for process in alive:
            process.kill()
            process.wait()

    def _saving(self) -> bool:
        return self.chief.process is not None and self.chief.process.poll() is None


def _free_addresses(count: int) -> Iterator[str]:
    """Addresses that were free a moment ago, each another one."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()
    return iter(addresses)


def beat() -> None:
    """Tells the cluster's watcher that a step was made; nothing where nobody watches."""
    path = os.environ.get(HEARTBEAT_VARIABLE)
    if path:
        Path(path).touch()


def restarts() -> list[dict[str, Any]]:
    """What the watcher had to start again so far: `task`, `why`, `log`, `number`, `time`."""
    path = os.environ.get(RESTARTS_VARIABLE)
    if not path or not Path(path).exists():
        return []
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def task_of_environment() -> tuple[str, int] | None:
    """Kind and index of this process in the cluster that `TF_CONFIG` names; None where it names none.

    Raises:
        TrainingError: `TF_CONFIG` is not what TensorFlow documents.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        config = json.loads(text)
        task = config["task"]
        return (str(task["type"]), int(task["index"])) if config.get("cluster") else None
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"TF_CONFIG is not usable: {error!r} in {text!r}.",
            'It looks like {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}.',
        ) from error
