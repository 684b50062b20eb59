"""What the watcher of a cluster decides, without one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from components.errors import TrainingError
from components.training import TrainingConfig, TrainingJob, cluster
from components.training.config import EarlyStopConfig
from components.training.history import History


def test_tf_config_names_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert cluster.task_of_environment() is None
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    assert cluster.task_of_environment() == ("worker", 0)
    monkeypatch.setenv("TF_CONFIG", "{broken")
    with pytest.raises(TrainingError, match="TF_CONFIG is not usable"):
        cluster.task_of_environment()


def test_addresses_are_free_and_distinct() -> None:
    assert len(set(cluster._free_addresses(20))) == 20


def test_nobody_watching_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cluster.HEARTBEAT_VARIABLE, raising=False)
    monkeypatch.delenv(cluster.RESTARTS_VARIABLE, raising=False)
    cluster.beat()
    assert cluster.restarts() == []
    monkeypatch.setenv(cluster.HEARTBEAT_VARIABLE, str(tmp_path / "beat"))
    cluster.beat()
    assert (tmp_path / "beat").exists()


def test_a_cluster_that_makes_no_step_is_taken_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"step_timeout_seconds": 30.0, "max_restarts": 1}
    settings = {"strategy": "multi_worker_mirrored", "cluster": limits}
    job = TrainingJob(
        transform_graph="", train_files=(), eval_files=(), label="y", task="binary",
        training=TrainingConfig.model_validate(settings), checkpoint_dir=str(tmp_path),
    )  # fmt: skip
    watcher = cluster.Cluster(job, "module", lambda: False)
    started: list[str] = []
    monkeypatch.setattr(watcher, "_start", lambda task: started.append(task.name))
    watcher._start_all()
    watcher.heartbeat.touch()
    assert watcher._look() is None
    assert started == ["worker 0", "worker 1"], "all is well"
    os.utime(watcher.heartbeat, (time.time() - 31, time.time() - 31))
    assert watcher._look() is None
    assert started == ["worker 0", "worker 1"] * 2
    assert "made no step for 30 s" in watcher.restarts_file.read_text()
    watcher.heartbeat.touch()
    os.utime(watcher.heartbeat, (time.time() - 31, time.time() - 31))
    with pytest.raises(TrainingError, match=r"worker 0 made no step for 30 s, after 1 restarts"):
        watcher._look()


def test_history_knows_the_best_and_when_to_give_up() -> None:
    history = History("auc", EarlyStopConfig(patience=2, min_delta=0.01))
    for step, auc in ((1, 0.8), (2, 0.9), (3, 0.905), (4, float("nan"))):
        history.add({"step": step, "metrics": {"auc": auc}})
    best = history.best
    assert best is not None
    assert best["step"] == 3
    assert history.gives_up, "0.905 is no improvement of 0.01"
