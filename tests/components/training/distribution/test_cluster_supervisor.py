"""What the supervisor of a cluster decides, without a cluster."""

from __future__ import annotations

import os
import time
import types
from pathlib import Path

import pytest

from taxiway.components.errors import TrainingError
from taxiway.components.training import TrainingConfig, TrainingJob
from taxiway.components.training.distribution import cluster


def test_tf_config_names_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert cluster.read_cluster_task() is None
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    assert cluster.read_cluster_task() == ("worker", 0)
    monkeypatch.setenv("TF_CONFIG", "{broken")
    with pytest.raises(TrainingError, match="TF_CONFIG is not usable"):
        cluster.read_cluster_task()


def test_addresses_are_free_and_distinct() -> None:
    assert len(set(cluster.find_free_addresses(20))) == 20


def test_no_supervisor_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cluster.HEARTBEAT_VARIABLE, raising=False)
    monkeypatch.delenv(cluster.RESTARTS_VARIABLE, raising=False)
    cluster.send_heartbeat()
    assert cluster.read_restarts() == []
    monkeypatch.setenv(cluster.HEARTBEAT_VARIABLE, str(tmp_path / "beat"))
    cluster.send_heartbeat()
    assert (tmp_path / "beat").exists()


@pytest.mark.parametrize(
    ("strategy", "ended", "restarted"),
    [
        ("parameter_server", {"worker 0": 1, "ps 0": -9}, "ps 0"),
        ("parameter_server", {"chief 0": 1, "worker 0": 1, "ps 0": 1}, "ps 0"),
        ("parameter_server", {"worker 0": -9}, "worker 0"),
        ("parameter_server", {"chief 0": 1, "worker 0": -9}, "chief 0"),
        ("multi_worker_mirrored", {"worker 0": 1, "worker 1": -9}, "worker 1"),
        ("multi_worker_mirrored", {"worker 0": 1, "worker 1": 0}, "worker 0"),
    ],
)
def test_of_several_dead_tasks_the_one_that_the_others_died_of_is_named(
    strategy: str, ended: dict[str, int], restarted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them may be dead when the supervisor looks."""
    job = TrainingJob(
        transform_graph="", train_files=(), eval_files=(), label="y", task="binary",
        training=TrainingConfig.model_validate({"strategy": strategy}), checkpoint_dir=str(tmp_path),
    )  # fmt: skip
    supervisor = cluster.ClusterSupervisor(job, "module", lambda: False)

    def start(task: cluster.ClusterTask) -> None:
        code = ended.get(task.name) if not supervisor.restarts else None
        task.process = types.SimpleNamespace(poll=lambda: code)  # type: ignore[assignment]

    monkeypatch.setattr(supervisor, "_start", start)
    supervisor._start_all()
    supervisor.heartbeat.touch()
    monkeypatch.setattr(supervisor, "_stop_all", lambda *_: None)
    assert supervisor._check_tasks() is None
    assert f'"task": "{restarted}"' in supervisor.restarts_file.read_text()


def test_a_cluster_that_makes_no_step_is_taken_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"step_timeout_seconds": 30.0, "max_restarts": 1}
    settings = {"strategy": "multi_worker_mirrored", "cluster": limits}
    job = TrainingJob(
        transform_graph="", train_files=(), eval_files=(), label="y", task="binary",
        training=TrainingConfig.model_validate(settings), checkpoint_dir=str(tmp_path),
    )  # fmt: skip
    supervisor = cluster.ClusterSupervisor(job, "module", lambda: False)
    started: list[str] = []
    monkeypatch.setattr(supervisor, "_start", lambda task: started.append(task.name))
    supervisor._start_all()
    supervisor.heartbeat.touch()
    assert supervisor._check_tasks() is None
    assert started == ["worker 0", "worker 1"], "all is well"
    os.utime(supervisor.heartbeat, (time.time() - 31, time.time() - 31))
    assert supervisor._check_tasks() is None
    assert started == ["worker 0", "worker 1"] * 2
    assert "made no step for 30 s" in supervisor.restarts_file.read_text()
    supervisor.heartbeat.touch()
    os.utime(supervisor.heartbeat, (time.time() - 31, time.time() - 31))
    with pytest.raises(TrainingError, match=r"worker 0 made no step for 30 s, after 1 restarts"):
        supervisor._check_tasks()
