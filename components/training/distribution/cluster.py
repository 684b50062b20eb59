"""The supervisor of a local cluster of training processes: starts them, restarts them from the checkpoint, ends them.

The supervisor's process is no member of the cluster and loads no TensorFlow. Each task is a training process with a
`TF_CONFIG` of its own. Its log is in the folder of the checkpoints, one file a task.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxiway.components import errors
from taxiway.components.errors import TrainingError, TrainingStoppedError
from taxiway.components.processes import progress, subprocesses
from taxiway.components.training.config import ClusterConfig
from taxiway.components.training.job import TrainingJob

LOG = logging.getLogger(__name__)

HEARTBEAT_VARIABLE = "TAXIWAY_HEARTBEAT_FILE"
RESTARTS_VARIABLE = "TAXIWAY_RESTARTS_FILE"
POLL_SECONDS = 0.1


@dataclass
class ClusterTask:
    """One member of the cluster."""

    kind: str
    index: int
    address: str
    log: Path
    result_file: Path
    process: subprocesses.ChildProcess | None = None

    @property
    def name(self) -> str:
        return f"{self.kind} {self.index}"

    @property
    def answer(self) -> dict[str, Any]:
        """What the task wrote before it ended; see `subprocesses.read_answer`."""
        return subprocesses.read_answer(self.result_file)

    def describe_death(self) -> str:
        """How the task ended; empty while it lives or when it ended well."""
        code = self.process.poll() if self.process else None
        return subprocesses.describe_exit(code) if code else ""

    def was_killed(self) -> bool:
        """Whether a signal ended it, as opposed to an error of its own."""
        code = self.process.poll() if self.process else None
        return code is not None and code < 0


@dataclass
class ClusterSupervisor:
    """Runs a job on a local cluster.

    Args:
        job: A job with a cluster strategy and a checkpoint folder.
        module: The tasks' main module.
        terminated: Whether this process was asked to end.
    """

    job: TrainingJob
    module: str
    terminated: Callable[[], bool]
    tasks: list[ClusterTask] = field(default_factory=list)
    restarts: int = 0

    def __post_init__(self) -> None:
        self.config: ClusterConfig = self.job.training.cluster
        self.folder = Path(self.job.checkpoint_dir, "cluster")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.heartbeat, self.restarts_file = self.folder / "heartbeat", self.folder / "restarts.jsonl"

    def run_to_end(self) -> dict[str, Any]:
        """Runs to the end. Returns the chief's result.

        Raises:
            TrainingError: a task died more than `max_restarts` times, or the cluster never came up.
            TaxiwayError: what the chief itself raised.
        """
        try:
            self._start_all()
            while True:
                result = self._check_tasks()
                if result is not None:
                    return result
                time.sleep(POLL_SECONDS)
        finally:
            self._stop_all()

    def _check_tasks(self) -> dict[str, Any] | None:
        """Looks at all tasks once. Returns the chief's result when there is one; restarts what died.

        Raises:
            TrainingError: this process was asked to end, or a task died too often.
        """
        if self.terminated():
            self._stop_all(signal.SIGTERM)
            raise self._find_error() or TrainingStoppedError(
                "Training was asked to end (SIGTERM).", "Run it again to go on."
            )
        answer = self.chief.answer
        if "result" in answer:
            return dict(answer["result"])
        own = self._find_own_error()
        if own is not None:
            raise own
        if lost := self._find_lost():
            self._restart_task(lost, lost.describe_death())
        else:
            self._check_heartbeat()
        return None

    def _find_lost(self) -> ClusterTask | None:
        """The dead task that the others died of, where several are dead: one that takes all with it, of those a server,
        or one that a signal ended."""
        dead = [task for task in self.tasks if task.describe_death()]
        return min(
            dead,
            key=lambda task: (self._restarts_alone(task), task.kind != "ps", not task.was_killed()),
            default=None,
        )

    def _restarts_alone(self, task: ClusterTask) -> bool:
        """Whether the others go on without it: a worker of a parameter-server cluster."""
        return self.job.training.strategy == "parameter_server" and task.kind == "worker"

    @property
    def chief(self) -> ClusterTask:
        return self.tasks[0]

    def _find_error(self) -> errors.TaxiwayError | None:
        """What a task raised."""
        return next(filter(None, (errors.rebuild_error(task.answer) for task in self.tasks)), None)

    def _find_own_error(self) -> errors.TaxiwayError | None:
        """A mistake that a task found in the job: to start again would not mend it."""
        raised = (errors.rebuild_error(task.answer) for task in self.tasks)
        return next((error for error in raised if error and not isinstance(error, TrainingStoppedError)), None)

    def _check_heartbeat(self) -> None:
        if silence := describe_silence(self.heartbeat, self.started, self.config):
            self._restart_task(self.chief, silence, everything=True)

    def _restart_task(self, task: ClusterTask, why: str, everything: bool = False) -> None:
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
        if self._restarts_alone(task) and not everything:
            self._start(task)
        else:
            self._stop_all()
            self._start_all()

    def _start_all(self) -> None:
        self.heartbeat.unlink(missing_ok=True)
        self.started = time.time()
        addresses = find_free_addresses(sum(count for _, count in self._list_kinds()))
        self.tasks = [
            ClusterTask(
                kind, i, next(addresses), self.folder / f"{kind}-{i}.log", self.folder / f"{kind}-{i}.result.json"
            )
            for kind, count in self._list_kinds()
            for i in range(count)
        ]
        for task in self.tasks:
            self._start(task)

    def _list_kinds(self) -> list[tuple[str, int]]:
        """Kinds of tasks and how many; the first task is the chief."""
        if self.job.training.strategy == "multi_worker_mirrored":
            return [("worker", self.config.workers)]
        return [("chief", 1), ("worker", self.config.workers), ("ps", self.config.parameter_servers)]

    def _start(self, task: ClusterTask) -> None:
        task.result_file.unlink(missing_ok=True)
        cluster: dict[str, list[str]] = {}
        for member in self.tasks:
            cluster.setdefault(member.kind, []).append(member.address)
        job_file = self.folder / "job.json"
        job_file.write_text(self.job.model_dump_json())
        environment = {
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": task.kind, "index": task.index}}),
            HEARTBEAT_VARIABLE: str(self.heartbeat),
            RESTARTS_VARIABLE: str(self.restarts_file),
        }
        if task is not self.chief:
            environment[progress.ENVIRONMENT_VARIABLE] = ""
        task.process = subprocesses.start_module(
            self.module,
            job_file,
            task.result_file,
            task.log,
            environment=environment,
            parent_death_signal=signal.SIGKILL,  # a task that waits for another one hears no SIGTERM
            new_session=False,  # what ends this process's group ends its tasks
        )
        (self.folder / f"{task.kind}-{task.index}.pid").write_text(str(task.process.pid))

    def _stop_all(self, first: signal.Signals = signal.SIGKILL) -> None:
        """Ends every task; with SIGTERM first they get `grace_seconds` to save."""
        alive = [t.process for t in self.tasks if t.process and t.process.poll() is None]
        for process in alive:
            process.send_signal(first)
        deadline = time.monotonic() + (self.config.grace_seconds if first != signal.SIGKILL else 0)
        while first != signal.SIGKILL and time.monotonic() < deadline and self._is_saving():
            time.sleep(POLL_SECONDS)
        for process in alive:
            process.kill()
            process.wait()

    def _is_saving(self) -> bool:
        return self.chief.process is not None and self.chief.process.poll() is None


def find_free_addresses(count: int) -> Iterator[str]:
    """Local addresses that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()
    return iter(addresses)


def describe_silence(heartbeat: Path, started: float, config: ClusterConfig) -> str:
    """What a cluster has not done in time, such as `made no step for 300 s`; empty where it is in time.

    Args:
        heartbeat: File that `send_heartbeat` touches, once the cluster is up, and `end_heartbeat` writes.
        started: When the cluster was started, in seconds since 1970.
        config: The limits.
    """
    if heartbeat.exists():
        if heartbeat.stat().st_size:
            return ""
        silent, limit, what = time.time() - heartbeat.stat().st_mtime, config.step_timeout_seconds, "made no step"
    else:
        silent, limit, what = time.time() - started, config.start_timeout_seconds, "did not come up"
    return f"{what} for {limit:g} s" if silent > limit else ""


def send_heartbeat() -> None:
    """Tells the cluster's supervisor that a step was made; does nothing where there is no supervisor."""
    path = os.environ.get(HEARTBEAT_VARIABLE)
    if path:
        Path(path).touch()


def end_heartbeat() -> None:
    """Tells it that the last step was made: what comes then, such as the export, takes the time that it takes."""
    path = os.environ.get(HEARTBEAT_VARIABLE)
    if path:
        Path(path).write_text("ended\n")


def read_restarts() -> list[dict[str, Any]]:
    """What the supervisor has restarted so far: `task`, `why`, `log`, `number`, `time`."""
    path = os.environ.get(RESTARTS_VARIABLE)
    if not path or not Path(path).exists():
        return []
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def read_cluster_task() -> tuple[str, int] | None:
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
