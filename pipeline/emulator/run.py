"""A whole run: the tasks in order, as Argo Workflows runs the compiled workflow."""

from __future__ import annotations

import itertools
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.driver import PipelineJob, TaskDecision, decide_task, fill_run_parameters
from taxiway.pipeline.emulator.errors import RefusedError, TaskFailedError
from taxiway.pipeline.emulator.launcher import Attempt, PodLauncher
from taxiway.pipeline.emulator.package import Package, read_package
from taxiway.pipeline.emulator.pods.kubernetes import list_mounts
from taxiway.pipeline.emulator.pods.patch import check_driver_arguments, check_root_arguments, make_pod_patch
from taxiway.pipeline.emulator.pods.processes import Pod, PodRuntime, ProcessRuntime
from taxiway.pipeline.emulator.releases import DEFAULT_RELEASE, find_release
from taxiway.pipeline.emulator.retries import Retry, plan_retry
from taxiway.pipeline.emulator.store import Artifact, EmulatorState, ObjectStore, TaskOutputs, check_pipeline_root

DEFAULT_PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
"""`backend/src/v2/config/env.go`: where the request names no root and the cluster's `kfp-launcher` neither."""

TaskState = Literal["succeeded", "cached", "skipped", "omitted", "failed"]


@dataclass(frozen=True)
class TaskResult:
    """How one task ended.

    Attributes:
        state: End of the task; `skipped`: its condition did not hold; `omitted`: a task that it depends on did not
            succeed.
        seconds: Wall time of driver and all tries.
        tries: Number of containers that were started.
        reason: Reason why it did not succeed.
        log: File with the last try's output.
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
class EmulationSettings:
    """What a run request holds, and where the emulator works.

    Attributes:
        folder: Folder of the emulator: object store, cache, logs.
        parameters: Parameters of the run.
        pipeline_root: Pipeline root of the request; empty: the cluster's default.
        cache: Whether the server's cache is on.
        publish_logs: The cluster's `PUBLISH_LOGS`: an output `executor-logs` for every task.
        runtime: Runtime of the containers.
        release: Name of the backend's release, of `taxiway.pipeline.emulator.releases.RELEASES`.
        sleep: Function that waits before a retry.
        clock: Function that returns the time, in seconds, from which deadlines count.
        on_result: Function that is called at each task's end.
    """

    folder: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    pipeline_root: str = ""
    cache: bool = True
    publish_logs: bool = True
    runtime: PodRuntime = field(default_factory=ProcessRuntime)
    release: str = DEFAULT_RELEASE
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    on_result: Callable[[str, TaskResult], None] = lambda task, result: None


def emulate_run(text: str, settings: EmulationSettings) -> RunResult:
    """Runs a compiled pipeline to its end.

    Raises:
        RefusedError: The backend would not take the pipeline or the request. A failed task is a result, no error.
    """
    package = read_package(text)
    root = check_pipeline_root(settings.pipeline_root or DEFAULT_PIPELINE_ROOT)
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    job = PipelineJob(
        package,
        str(uuid.uuid4()),
        root,
        fill_run_parameters(package, settings.parameters),
        created,
        settings.publish_logs,
        settings.cache,
        find_release(settings.release),
    )
    return _EmulatedRun(job, settings).run_tasks()


class _EmulatedRun:
    def __init__(self, job: PipelineJob, settings: EmulationSettings) -> None:
        self._job, self._settings = job, settings
        self._state = EmulatorState(settings.folder / "state.json")
        objects = ObjectStore(settings.folder / "objects")
        self._launcher = PodLauncher(objects, self._state, settings.runtime, job.release)
        self._logs = settings.folder / "runs" / job.run_id
        self._outputs: dict[str, TaskOutputs] = {}
        self._results: dict[str, TaskResult] = {}

    def run_tasks(self) -> RunResult:
        self._logs.mkdir(parents=True, exist_ok=True)
        problem = self._find_root_problem()
        for name in self._job.package.order:
            result = TaskResult("failed", reason=problem) if problem else self._run_task(name)
            self._results[name] = result
            self._settings.on_result(name, result)
        package = self._job.package
        failed = any(r.state == "failed" for name, r in self._results.items() if name not in package.exits)
        artifacts = {name: outputs.artifacts for name, outputs in self._outputs.items()}
        return RunResult(self._job.run_id, not failed, self._results, artifacts, package.ignored)

    def _find_root_problem(self) -> str:
        """Why the pipeline's own driver cannot start; then no task does."""
        try:
            check_root_arguments(self._job)
        except TaskFailedError as failure:
            return str(failure)
        return ""

    def _run_task(self, name: str) -> TaskResult:
        """One task. A DAG of Argo starts nothing new once a task has failed, but for exit tasks."""
        package = self._job.package
        if name not in package.exits and any(result.state == "failed" for result in self._results.values()):
            return TaskResult("omitted", reason="the run has failed")
        not_done = [
            t for t in self._job.package.depends.get(name, ()) if self._results[t].state not in ("succeeded", "cached")
        ]
        if not_done:
            return TaskResult("omitted", reason=f"{', '.join(not_done)} did not succeed [{errors.ARGO_DAG}]")
        started = time.monotonic()
        try:
            result = self._drive_task(name)
        except TaskFailedError as failure:
            result = TaskResult("failed", reason=str(failure), log=self._find_log(name))
        return TaskResult(result.state, time.monotonic() - started, result.tries, result.reason, result.log)

    def _drive_task(self, name: str) -> TaskResult:
        check_driver_arguments(self._job, name)
        decision = decide_task(self._job, name, self._outputs, str(uuid.uuid4()))
        if not decision.triggered:
            condition = self._job.package.find_task(name).trigger_policy.condition
            return TaskResult("skipped", reason=f"the condition does not hold: {condition}")
        cached = self._state.find_cached(decision.fingerprint)
        if cached is not None:
            self._outputs[name] = cached
            return TaskResult("cached")
        patch = make_pod_patch(self._job, name, decision, self._state.take_number("executions"))
        tries, outputs = self._run_with_retries(name, decision, patch)
        self._outputs[name] = outputs
        self._state.remember_outputs(decision.fingerprint, outputs)
        self._state.write_file()
        return TaskResult("succeeded", tries=tries, log=self._find_log(name))

    def _run_with_retries(self, name: str, decision: TaskDecision, patch: dict[str, Any]) -> tuple[int, TaskOutputs]:
        """Runs the container until it succeeds or the retry policy ends; only the container is retried."""
        policy, clock = self._job.package.find_task(name).retry_policy, self._settings.clock
        started, deadline = clock(), 0.0
        for number in itertools.count():
            pod = self._make_pod(name, number, patch, deadline and deadline - clock())
            arguments, component = patch["containers"][0]["args"], self._job.package.find_component(name)
            try:
                outputs = self._launcher.launch_pod(decision, Attempt(pod, arguments, component, number))
                shutil.rmtree(pod.folder, ignore_errors=True)  # downloaded copies; the log stays
                return number + 1, outputs
            except TaskFailedError as failure:
                retry = _plan_next(policy, number + 1, started, clock(), failure)
            self._settings.sleep(retry.wait_seconds)
            deadline = retry.deadline
        raise AssertionError("unreachable")

    def _make_pod(self, name: str, number: int, patch: dict[str, Any], seconds_left: float) -> Pod:
        main = patch["containers"][0]
        limits = [seconds for seconds in (patch.get("activeDeadlineSeconds", 0), seconds_left) if seconds]
        user = main.get("securityContext", {}).get("runAsUser")
        return Pod(
            name=f"{name}({number})",
            image=main["image"],
            command=(),
            environment=_read_variables(name, main.get("env", [])),
            folder=self._settings.folder / "pods" / self._job.run_id / name,
            log=self._find_log(name),
            timeout_seconds=float(min(limits, default=0)),
            mounts=list_mounts(patch),
            user=None if user is None else (user, main["securityContext"].get("runAsGroup", 0)),
        )

    def _find_log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _plan_next(policy: Any, tries: int, started: float, now: float, failure: TaskFailedError) -> Retry:
    """The next try, or the failure with the reason why there is none."""
    if not policy.max_retry_count:
        raise failure
    try:
        return plan_retry(policy, tries, started, now)
    except TaskFailedError as end:
        raise TaskFailedError(f"{failure}; {end}") from failure


def _read_variables(name: str, variables: list[dict[str, Any]]) -> dict[str, str]:
    """The container's variables; those of secrets and config maps come from this process's own of the same names.

    Raises:
        TaskFailedError: One is not set: on a cluster the pod would not start.
    """
    values = {}
    for entry in variables:
        variable, source = entry["name"], entry.get("valueFrom", {})
        reference = source.get("secretKeyRef") or source.get("configMapKeyRef")
        if reference and variable in os.environ:
            values[variable] = os.environ[variable]
        elif reference and not reference.get("optional"):
            kind = "secret" if "secretKeyRef" in source else "config map"
            problem = f"{name}: the {kind} {reference['name']} is not here: set {variable}"
            raise TaskFailedError(problem, errors.PLATFORM)
        elif not reference:
            values[variable] = entry.get("value", "")
    return values


__all__ = ["EmulationSettings", "Package", "RefusedError", "RunResult", "TaskResult", "emulate_run"]
