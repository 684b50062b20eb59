"""A cluster of pods from beginning to end: made, followed, and removed whatever happens.

The cluster's controller starts pods again, and each of them notices by itself when a peer is lost (`lost_peers.py`).
This process only waits for the chief's result, and takes the pods with it when it is asked to end. The object's name
is that of the folder that its pods write to: a step that was killed leaves an object behind, and the next one finds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from taxiway.components import errors
from taxiway.components.errors import TrainingError, TrainingStoppedError
from taxiway.components.processes.subprocesses import read_answer
from taxiway.components.training.distribution.kubernetes import manifests, shared_folder
from taxiway.components.training.distribution.kubernetes.api import (
    JOB_SET,
    ApiUnavailableError,
    KubernetesApi,
    ObjectExistsError,
)
from taxiway.components.training.distribution.kubernetes.pod_log import PodLog
from taxiway.components.training.job import TrainingJob

LOG = logging.getLogger(__name__)

POLL_SECONDS = 2.0
LOST_API_SECONDS = 300.0
"""So long the API server may not answer before the step gives up."""
REMOVAL_SECONDS = 60.0
"""What pods of an earlier step get to be gone, beyond their time to save."""
LOG_SECONDS = 5.0
"""The time to read the last lines of the pods' logs."""
LAST_WORDS_SECONDS = 10.0
"""What members get beyond the time to find each other, so that they can say why they did not."""


@dataclass
class KubernetesSupervisor:
    """Runs a job on a cluster of pods.

    Args:
        job: A job with a cluster strategy, a checkpoint folder on a shared volume, and the pod of a task.
        terminated: Whether this process was asked to end.
        poll_seconds: The time between two looks.
    """

    job: TrainingJob
    terminated: Callable[[], bool]
    poll_seconds: float = POLL_SECONDS
    followed: dict[str, threading.Thread] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    pods: list[Any] = field(default_factory=list)

    def run_to_end(self) -> dict[str, Any]:
        """Runs to the end. Returns the chief's result.

        Raises:
            ConfigError: the cluster cannot do it, or this step may not ask it to.
            TrainingError: training failed, or its pods did not come up.
        """
        self.folder = shared_folder.find_shared_folder(self.job)
        self.api = KubernetesApi()
        self.kind = self.api.choose_kind()
        self.api.check_rights(self.kind)
        self.plan = self._make_plan()
        self._remove_earlier()  # before its pods lose their folder
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        try:
            staged = shared_folder.stage_job(self.job, self.folder)
            (self.folder / "job.json").write_text(staged.model_dump_json())
            result = self._train_on_pods()
            shared_folder.collect_outputs(self.job, staged)
        finally:
            shared_folder.remove_copies(self.folder)
        return result

    def _train_on_pods(self) -> dict[str, Any]:
        build = manifests.build_jobset if self.kind is JOB_SET else manifests.build_tfjob
        LOG.info("makes the %s %s in namespace %s", self.kind.plural, self.plan.name, self.plan.namespace)
        try:
            try:
                self.api.create_object(self.kind, build(self.plan))
            except ObjectExistsError:  # it came in between
                self._remove_earlier()
                self.api.create_object(self.kind, build(self.plan))
            return self._await_result()
        finally:
            self._remove_object()

    def _remove_earlier(self) -> None:
        """Removes the object that an earlier step of the same folder has left, and waits until its pods are gone.

        Raises:
            TrainingError: they do not go: they would write into the same folder.
        """
        if self.api.read_status(self.kind, self.plan.name) is None and not self._has_pods():
            return
        LOG.warning("an earlier step has left %s: it is removed first", self.plan.name)
        self.api.delete_object(self.kind, self.plan.name)
        seconds = self.job.training.cluster.grace_seconds + REMOVAL_SECONDS
        deadline = time.monotonic() + seconds
        while self.api.read_status(self.kind, self.plan.name) is not None or self._has_pods():
            if self.terminated():
                raise TrainingStoppedError("Training was asked to end (SIGTERM).", "Run it again to go on.")
            if time.monotonic() > deadline:
                raise TrainingError(
                    f"An earlier step has left {self.plan.name}, and {seconds:g} s after it was removed there are "
                    "still pods of it, which would write into the same folder.",
                    f"See what keeps them (kubectl get pods -n {self.plan.namespace} -l "
                    f"{self.kind.label}={self.plan.name}), and run it again.",
                )
            time.sleep(self.poll_seconds)

    def _make_plan(self) -> manifests.ClusterPlan:
        cluster = self.job.training.cluster
        return manifests.ClusterPlan(
            name=name_object(self.job.fingerprint, str(self.folder)),
            namespace=self.api.namespace,
            kinds=list_kinds(self.job),
            pod=self.job.cluster_pod,
            folder=str(self.folder),
            max_restarts=cluster.max_restarts,
            grace_seconds=cluster.grace_seconds,
            owner=read_owner(),
        )

    def _await_result(self) -> dict[str, Any]:
        answered = looked = time.monotonic()
        pending = forming = 0.0
        while True:
            try:
                result = self._look_once()
                passed, looked = time.monotonic() - looked, time.monotonic()
                came = self._follow_pods()
                pending = 0.0 if came else pending + passed  # again after pods were made anew
                forming = 0.0 if self._is_up() else forming + passed * came
                if result is None:
                    self._check_start(pending)
                    self._check_members(forming)
                answered = time.monotonic()
            except ApiUnavailableError as error:
                if time.monotonic() - answered > LOST_API_SECONDS:
                    raise
                LOG.warning("%s", error)
                result = None
            if result is not None:
                return result
            if self.terminated():
                raise self._stop_pods()
            time.sleep(self.poll_seconds)

    def _look_once(self) -> dict[str, Any] | None:
        """The chief's result, once there is one.

        Raises:
            TrainingError: the object has failed, or somebody has removed it.
        """
        status = self.api.read_status(self.kind, self.plan.name)
        if status is None:
            raise TrainingError(
                f"Somebody has removed the {self.kind.plural} {self.plan.name}.", "Run it again: it goes on from there."
            )
        conditions = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
        if self.kind.failed in conditions:
            raise self._explain_failure(conditions[self.kind.failed])
        if self.kind.done not in conditions:
            return None
        answer = read_answer(self.folder / f"{self.plan.kinds[0][0]}-0.result.json")
        if "result" not in answer:
            raise self._explain_failure({"message": "the chief has ended without a result"})
        return {**answer["result"], "restarts": int(status.get("restarts") or 0)}

    @property
    def wanted_pods(self) -> int:
        return sum(count for _, count in self.plan.kinds)

    def _follow_pods(self) -> bool:
        """Follows the logs of new pods. Returns whether all pods have come up."""
        self.pods = self.api.list_pods(self.kind, self.plan.name)
        up = [pod for pod in self.pods if pod.status.phase not in (None, "Pending")]
        for pod in up:
            if pod.metadata.uid not in self.followed:
                self._follow_pod(pod)
        return len(up) >= self.wanted_pods

    def _check_start(self, seconds: float) -> None:
        """Raises `TrainingError` where pods have not come up in time; one that waits keeps the others waiting."""
        limit = self.job.training.cluster.start_timeout_seconds
        if seconds <= limit:
            return
        made = f"{len(self.pods)} of {self.wanted_pods} pods were made"
        raise TrainingError(
            f"The pods of {self.plan.name} did not come up within {limit:g} s: "
            f"{'; '.join(filter(None, map(describe_waiting, self.pods))) or made}.",
            "Look at the image, the volumes and the amounts in resources.kubeflow, at the cluster's room, or raise "
            "training.cluster.start_timeout_seconds.",
        )

    def _is_up(self) -> bool:
        """Whether the members have found each other since the chief was last started."""
        return (self.folder / manifests.UP_FILE).exists()

    def _check_members(self, seconds: float) -> None:
        """Raises `TrainingError` where all pods run and the members have not found each other in time.

        Each of them ends by itself then; to start them again, as the cluster would, does not mend it.
        """
        limit = self.job.training.cluster.start_timeout_seconds
        if seconds <= limit + LAST_WORDS_SECONDS:
            return
        said = [read_answer(file).get("problem", "") for file in sorted(self.folder.glob("*.result.json"))]
        why = next(filter(None, said), "they do not say why")
        raise TrainingError(
            f"The pods of {self.plan.name} run, and have not found each other within {limit:g} s: {why}",
            f"The logs of its pods: {self.folder}/{self.plan.name}-*.log. Look at the cluster's DNS and network "
            f"policies (port {manifests.PORT}), or raise training.cluster.start_timeout_seconds.",
        )

    def _follow_pod(self, pod: Any) -> None:
        """Copies a pod's output into a file, one a pod, from a thread."""
        name = pod.metadata.name
        log = PodLog(self.folder / f"{name}.log", lambda s: self.api.follow_log(name, pod.spec.containers[0].name, s))
        is_over = lambda: self.ended.is_set() or not self._runs(pod.metadata.uid)  # noqa: E731
        thread = threading.Thread(target=log.copy_to_end, args=(is_over, self.poll_seconds), daemon=True)
        self.followed[pod.metadata.uid] = thread
        thread.start()

    def _runs(self, uid: str) -> bool:
        """Whether a pod was running when they were last looked at."""
        return any(pod.metadata.uid == uid and pod.status.phase == "Running" for pod in self.pods)

    def _explain_failure(self, condition: dict[str, Any]) -> errors.TaxiwayError:
        """What a task raised; else what the cluster says."""
        answers = [read_answer(file) for file in sorted(self.folder.glob("*.result.json"))]
        raised = [error for error in map(errors.rebuild_error, answers) if error]
        final = [error for error in raised if not isinstance(error, TrainingStoppedError)]
        if final or raised:
            return (final or raised)[0]
        message = condition.get("message") or condition.get("reason") or "no reason is given"
        return TrainingError(
            f"Training on Kubernetes ({self.plan.name}) failed: {message}.",
            f"The logs of its pods: {self.folder}/{self.plan.name}-*.log",
        )

    def _stop_pods(self) -> TrainingError:
        """Asks all pods to end, and waits while they save."""
        self.api.delete_object(self.kind, self.plan.name)
        deadline = time.monotonic() + self.job.training.cluster.grace_seconds
        while time.monotonic() < deadline and self._has_pods():
            time.sleep(min(self.poll_seconds, 0.5))
        said = [read_answer(file) for file in sorted(self.folder.glob("*.result.json"))]
        stopped = [error for error in map(errors.rebuild_error, said) if isinstance(error, TrainingStoppedError)]
        return (
            stopped[0]
            if stopped
            else TrainingStoppedError("Training was asked to end (SIGTERM).", "Run it again to go on.")
        )

    def _has_pods(self) -> bool:
        try:
            return bool(self.api.list_pods(self.kind, self.plan.name))
        except ApiUnavailableError:
            return True

    def _await_logs(self) -> None:
        """Waits for the last lines of pods that have ended: their logs go with them."""
        with contextlib.suppress(errors.TaxiwayError):
            self.pods = self.api.list_pods(self.kind, self.plan.name)
            deadline = time.monotonic() + LOG_SECONDS
            for uid, thread in self.followed.items():
                if not self._runs(uid):
                    thread.join(max(deadline - time.monotonic(), 0))

    def _remove_object(self) -> None:
        self._await_logs()
        try:
            self.api.delete_object(self.kind, self.plan.name)
        except errors.TaxiwayError as error:
            command = f"kubectl delete {self.kind.plural}.{self.kind.group} {self.plan.name} -n {self.plan.namespace}"
            LOG.error("%s was not removed (%s): %s", self.plan.name, error, command)
        self.ended.set()
        for thread in self.followed.values():
            thread.join(LOG_SECONDS)


def name_object(fingerprint: str, folder: str) -> str:
    """The object's name: the same for every step that trains in this folder."""
    return f"taxiway-{fingerprint[:10] or 'training'}-{hashlib.sha256(folder.encode()).hexdigest()[:8]}"


def list_kinds(job: TrainingJob) -> tuple[tuple[str, int], ...]:
    """The kinds of tasks and how many of each: the chief, whose success counts, apart from the other workers."""
    config = job.training.cluster
    if job.training.strategy == "parameter_server":
        return (("chief", 1), ("worker", config.workers), ("ps", config.parameter_servers))
    others = (("worker", config.workers - 1),) if config.workers > 1 else ()
    return (("chief", 1), *others)


def read_owner() -> dict[str, Any]:
    """This step's own pod, as Kubeflow names it to its steps; empty where it does not."""
    name, uid = os.environ.get("KFP_POD_NAME", ""), os.environ.get("KFP_POD_UID", "")
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid} if name and uid else {}


def describe_waiting(pod: Any) -> str:
    """Why a pod does not run, such as `NAME: ImagePullBackOff`; empty where it does."""
    return next((f"{pod.metadata.name}: {reason}" for reason in _list_reasons(pod)), "")


def _list_reasons(pod: Any) -> Iterator[str]:
    for status in pod.status.container_statuses or ():
        if status.state and status.state.waiting:
            yield _clean_text(f"{status.state.waiting.reason} {status.state.waiting.message or ''}")
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            yield _clean_text(f"{condition.reason} {condition.message or ''}")


def _clean_text(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:300]
