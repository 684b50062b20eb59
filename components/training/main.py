"""The training process, and how to start it: `train` here, `python -m taxiway.components.training.main` there."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

from taxiway.components.errors import TrainingError
from taxiway.components.processes import subprocesses
from taxiway.components.processes.sigterm import SigtermFlag
from taxiway.components.training.distribution import cluster, lost_peers
from taxiway.components.training.job import TrainingJob, TrainingResult

MODULE = "taxiway.components.training.main"
CLUSTER_STRATEGIES = ("multi_worker_mirrored", "parameter_server")


def train(job: TrainingJob, log: str | Path) -> TrainingResult:
    """Trains in a process of its own and waits.

    Args:
        job: The job.
        log: The file that takes the process's output.

    Raises:
        ConfigError, DataError: the job cannot be done as asked.
        TrainingError: training failed, or its process died.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    timeout = job.training.timeout_seconds or None
    content = job.model_dump(mode="json")
    result = subprocesses.run_module_checked(MODULE, content, log, TrainingError, timeout_seconds=timeout)
    return TrainingResult.model_validate(result)


def run_job(content: dict[str, Any], module: str = MODULE) -> dict[str, Any]:
    """Trains: in this process, as a task of the cluster that TF_CONFIG names, or by starting one.

    Args:
        content: The job.
        module: The main module that calls this, for a process that has to watch another one.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    job, terminated = TrainingJob.model_validate(content), SigtermFlag()
    if job.training.strategy in CLUSTER_STRATEGIES and cluster.read_cluster_task() is None:
        return _start_cluster(job, terminated)
    if lost_peers.needs_watch(job):
        return lost_peers.run_watched(job, module, terminated)
    from taxiway.components.training.run import run_training  # not before: a cluster's supervisor needs no TensorFlow

    return run_training(job, terminated).model_dump(mode="json")


def _start_cluster(job: TrainingJob, terminated: SigtermFlag) -> dict[str, Any]:
    if job.training.cluster.where == "kubernetes":
        from taxiway.components.training.distribution.kubernetes.supervisor import KubernetesSupervisor

        return KubernetesSupervisor(job, terminated).run_to_end()
    if job.checkpoint_dir:
        return cluster.ClusterSupervisor(job, MODULE, terminated).run_to_end()
    with tempfile.TemporaryDirectory(prefix="taxiway-cluster-") as folder:
        job = job.model_copy(update={"checkpoint_dir": folder})
        return cluster.ClusterSupervisor(job, MODULE, terminated).run_to_end()


if __name__ == "__main__":
    subprocesses.run_child_main(run_job)
