"""A whole run: the tasks in order, as Argo Workflows runs the compiled workflow."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from pipeline.emulator import refusals
from pipeline.emulator.driver import Decision, Job, decide, run_parameters
from pipeline.emulator.launcher import Launcher, Pod, Processes, Runtime
from pipeline.emulator.package import Package, read
from pipeline.emulator.refusals import RefusedError, TaskFailedError
from pipeline.emulator.store import Artifact, ObjectStore, State, check_root

DEFAULT_PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
"""`backend/src/v2/config/env.go`: where the request names no root and the cluster's `kfp-launcher` neither."""

TaskState = Literal["succeeded", "cached", "skipped", "omitted", "failed"]


@dataclass(frozen=True)
class TaskResult:
    """How one task ended.

    Attributes:
        state: `skipped`: its condition did not hold; `omitted`: what it depends on did not succeed.
        seconds: Wall time of driver and all tries.
        tries: Containers that were started.
        reason: Why it did not succeed.
        log: The last try's output.
    """

    state: TaskState
    seconds: float = 0.0
    tries: int = 0
    reason: str = ""
    log: Path | None = None


@dataclass(frozen=True)
class RunResult:
    """How the run ended: a run with skipped tasks has succeeded."""

    run_id: str
    succeeded: bool
    tasks: Mapping[str, TaskResult]
    outputs: Mapping[str, Mapping[str, Artifact]]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What a run request holds, and where the emulator works.

    Attributes:
        folder: The emulator's own: object store, cache, logs.
        parameters: Of the run.
        pipeline_root: Of the request; empty: the cluster's default.
        cache: False: the server's cache is off.
        publish_logs: The cluster's `PUBLISH_LOGS`: an output `executor-logs` for every task.
        runtime: What runs the containers.
        sleep: Waits before a retry.
        heard: Told of each task's end.
    """

    folder: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    pipeline_root: str = ""
    cache: bool = True
    publish_logs: bool = True
    runtime: Runtime = field(default_factory=Processes)
    sleep: Callable[[float], None] = time.sleep
    heard: Callable[[str, TaskResult], None] = lambda task, result: None


def emulate(text: str, settings: Settings) -> RunResult:
    """Runs a compiled pipeline to its end.

    Raises:
        RefusedError: The backend would not take the pipeline or the request. A failed task is a result, no error.
    """
    package = read(text)
    root = check_root(settings.pipeline_root or DEFAULT_PIPELINE_ROOT)
    created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    job = Job(
        package, str(uuid.uuid4()), root, run_parameters(package, settings.parameters), created, settings.publish_logs
    )
    return _Run(job, settings).to_the_end()


class _Run:
    def __init__(self, job: Job, settings: Settings) -> None:
        self._job, self._settings = job, settings
        self._state = State(settings.folder / "state.json")
        objects = ObjectStore(settings.folder / "objects")
        self._launcher = Launcher(objects, self._state, settings.runtime)
        self._logs = settings.folder / "runs" / job.run_id
        self._outputs: dict[str, Mapping[str, Artifact]] = {}
        self._results: dict[str, TaskResult] = {}

    def to_the_end(self) -> RunResult:
        self._logs.mkdir(parents=True, exist_ok=True)
        for name in self._job.package.order:
            result = self._task(name)
            self._results[name] = result
            self._settings.heard(name, result)
        failed = any(result.state == "failed" for result in self._results.values())
        package = self._job.package
        return RunResult(self._job.run_id, not failed, self._results, self._outputs, package.ignored)

    def _task(self, name: str) -> TaskResult:
        """One task. A DAG of Argo starts nothing new once a task has failed."""
        if any(result.state == "failed" for result in self._results.values()):
            return TaskResult("omitted", reason="the run has failed")
        not_done = [t for t in self._job.package.depends[name] if self._results[t].state not in ("succeeded", "cached")]
        if not_done:
            return TaskResult("omitted", reason=f"{', '.join(not_done)} did not succeed [{refusals.ARGO_DAG}]")
        started = time.monotonic()
        try:
            result = self._driven(name)
        except TaskFailedError as failure:
            result = TaskResult("failed", reason=str(failure), log=self._log(name))
        return TaskResult(result.state, time.monotonic() - started, result.tries, result.reason, result.log)

    def _driven(self, name: str) -> TaskResult:
        salt = str(uuid.uuid4())
        decision = decide(self._job, name, self._outputs, salt)
        if not decision.triggered:
            condition = self._job.package.task(name).trigger_policy.condition
            return TaskResult("skipped", reason=f"the condition does not hold: {condition}")
        cached = self._state.cached(decision.fingerprint) if self._settings.cache else None
        if cached is not None:
            self._outputs[name] = cached
            return TaskResult("cached")
        tries, outputs = self._tried(name, decision)
        self._outputs[name] = outputs
        self._state.remember(decision.fingerprint, outputs)
        self._state.save()
        return TaskResult("succeeded", tries=tries, log=self._log(name))

    def _tried(self, name: str, decision: Decision) -> tuple[int, dict[str, Artifact]]:
        """Runs the container until it succeeds or the retry policy ends; only the container is retried."""
        task, package = self._job.package.task(name), self._job.package
        policy = task.retry_policy
        for number in range(policy.max_retry_count + 1):
            try:
                pod = self._pod(name, number)
                outputs = self._launcher.launch(decision, pod, package.container(name), package.component(name))
                shutil.rmtree(pod.folder, ignore_errors=True)  # downloaded copies; the log stays
                return number + 1, outputs
            except TaskFailedError:
                if number == policy.max_retry_count:
                    raise
            self._settings.sleep(_backoff(policy, number))
        raise AssertionError("unreachable")

    def _pod(self, name: str, number: int) -> Pod:
        container, kubernetes = self._job.package.container(name), self._job.package.kubernetes_of(name)
        environment = {variable.name: variable.value for variable in container.env}
        return Pod(
            name=f"{name}({number})",
            image=container.image,
            command=(),
            environment={**environment, **_secrets(name, kubernetes)},
            folder=self._settings.folder / "pods" / self._job.run_id / name,
            log=self._log(name),
            timeout_seconds=float(kubernetes.get("activeDeadlineSeconds", 0)),
            mounts={m.get("constant", ""): m.get("mountPath", "") for m in kubernetes.get("pvcMount", [])},
        )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _backoff(policy: Any, number: int) -> float:
    """Seconds before the next try: `duration * factor ^ number`, at most the maximum."""
    seconds = policy.backoff_duration.seconds * (policy.backoff_factor or 1.0) ** number
    longest = policy.backoff_max_duration.seconds
    return min(seconds, longest) if longest else float(seconds)


def _secrets(name: str, kubernetes: Mapping[str, Any]) -> dict[str, str]:
    """Secrets come from this process's own variables of the same names.

    Raises:
        TaskFailedError: One is not set: on a cluster the pod would not start.
    """
    found = {}
    for secret in kubernetes.get("secretAsEnv", []):
        for entry in secret.get("keyToEnv", []):
            variable = entry["envVar"]
            if variable not in os.environ:
                problem = f"{name}: the secret {secret.get('secretName', '')} is not here: set {variable}"
                raise TaskFailedError(problem, "backend/src/v2/driver/k8s.go")
            found[variable] = os.environ[variable]
    return found


__all__ = ["Package", "RefusedError", "RunResult", "Settings", "TaskResult", "emulate"]
