"""Real clusters of processes on this machine: the same weights, kills, restarts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxiway.components.errors import TrainingError
from taxiway.components.processes import subprocesses
from taxiway.components.training import TrainingJob, TrainingResult, train
from taxiway.components.training.distribution.cluster import find_free_addresses
from taxiway.components.training.main import MODULE
from tests.components.training.children import weights
from tests.components.training.paused import MODULE as PAUSED
from tests.components.training.paused import PAUSE_AFTER_STEP, checkpoint_steps
from tests.components.training.synthetic import make_job

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

SETTINGS: dict[str, Any] = {
    "epochs": 6,
    "global_batch_size": 60,
    "accumulate": 2,
    "optimizer": {"name": "sgd", "learning_rate": 0.05},
}
TASKS = ("worker-0", "worker-1")
TABULAR: dict[str, Any] = {"kind": "tabular", "members": 3}
LONG = SETTINGS | {"epochs": 60, "evaluate_every_steps": 100, "steps_per_loop": 10, "accumulate": 1}


def cluster(strategy: str, **more: Any) -> dict[str, Any]:
    limits = {"start_timeout_seconds": 240, "step_timeout_seconds": 240, "max_restarts": 2, "threads_per_task": 1}
    return {"strategy": strategy, "cluster": limits | more}


def run(job: TrainingJob, out: Path) -> TrainingResult:
    return train(job, out / "log")


def history(out: Path) -> dict[str, Any]:
    return json.loads((out / "training" / "history.json").read_text())


def kill_when(out: Path, task: str, moment: Callable[[Path], bool]) -> threading.Thread:
    """SIGKILLs a task as soon as `moment` has come. The thread fails the test by leaving `killed` unset."""

    def wait_and_kill() -> None:
        pid = out / "checkpoints" / "cluster" / f"{task}.pid"
        while not moment(out / "checkpoints"):
            time.sleep(0.02)
        thread.killed = int(pid.read_text())  # type: ignore[attr-defined]
        os.kill(thread.killed, signal.SIGKILL)  # type: ignore[attr-defined]

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.killed = 0  # type: ignore[attr-defined]
    thread.start()
    return thread


def first_checkpoint(folder: Path) -> bool:
    return any(folder.glob("step-*"))


@pytest.fixture(scope="module")
def undisturbed(one_file_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """The long run on one device."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return run(make_job(one_file_data, folder, training=LONG), folder)


def test_two_workers_train_the_weights_of_one_device(one_file_data: Path, tmp_path: Path) -> None:
    averaged = SETTINGS | {"ema_decay": 0.9}
    run(make_job(one_file_data, tmp_path / "one", training=averaged, model=TABULAR), tmp_path / "one")
    settings = averaged | cluster("multi_worker_mirrored", workers=2)
    job = make_job(one_file_data, tmp_path / "two", training=settings, model=TABULAR)
    result = run(job.model_copy(update={"export_dir": str(tmp_path / "two" / "export")}), tmp_path / "two")
    assert (result.replicas, result.restarts) == (2, 0)
    assert (tmp_path / "two" / "export" / "saved_model.pb").exists()
    logs = {name: (tmp_path / "two" / "checkpoints" / "cluster" / f"{name}.log").read_text() for name in TASKS}
    assert ["exported" in logs[name] for name in TASKS] == [True, False], "only the chief exports"
    for expected, actual in zip(weights(tmp_path / "one"), weights(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5, rtol=2e-4)


def test_a_killed_worker_restarts_the_cluster_from_the_checkpoint(
    one_file_data: Path, tmp_path: Path, undisturbed: TrainingResult
) -> None:
    settings = LONG | cluster("multi_worker_mirrored", workers=2)
    thread = kill_when(tmp_path, "worker-1", first_checkpoint)
    result = run(make_job(one_file_data, tmp_path, training=settings), tmp_path)
    assert thread.killed  # type: ignore[attr-defined]
    assert (result.restarts, result.steps) == (1, undisturbed.steps)
    events = history(tmp_path)["events"]
    assert [(e["kind"], e.get("task")) for e in events] == [("resumed", None), ("restarted", "worker 1")]
    assert "SIGKILL" in events[1]["why"]
    assert events[0]["step"] >= 100
    assert result.metrics["auc"] == pytest.approx(undisturbed.metrics["auc"], abs=1e-3)


def test_parameter_server_training_goes_on_without_a_killed_worker(
    one_file_data: Path, tmp_path: Path, undisturbed: TrainingResult
) -> None:
    settings = LONG | cluster("parameter_server", workers=2, parameter_servers=2)
    thread = kill_when(tmp_path, "worker-1", first_checkpoint)
    large = {"embedding_dim": 256}  # large enough for a part on each server
    result = run(make_job(one_file_data, tmp_path, training=settings, model=large), tmp_path)
    log = (tmp_path / "checkpoints" / "cluster" / "chief-0.log").read_text()
    assert "parts of large variables on the parameter servers: embedding/embeddings" in log
    assert thread.killed  # type: ignore[attr-defined]
    assert (result.restarts, result.steps) == (1, undisturbed.steps)
    events = history(tmp_path)["events"]
    assert [(e["kind"], e.get("task")) for e in events] == [("restarted", "worker 1")], "the chief went on"
    assert result.metrics["auc"] == pytest.approx(undisturbed.metrics["auc"], abs=0.02)


def test_a_lost_parameter_server_restarts_from_the_checkpoint(
    one_file_data: Path, tmp_path: Path, undisturbed: TrainingResult
) -> None:
    settings = LONG | cluster("parameter_server", workers=1, parameter_servers=2)
    thread = kill_when(tmp_path, "ps-0", first_checkpoint)
    result = run(make_job(one_file_data, tmp_path, training=settings), tmp_path)
    assert thread.killed  # type: ignore[attr-defined]
    assert result.restarts >= 1  # once more where another process has taken a port meanwhile
    events = history(tmp_path)["events"]
    assert [(e["kind"], e.get("task")) for e in events] == [("resumed", None), ("restarted", "ps 0")]
    assert result.metrics["auc"] == pytest.approx(undisturbed.metrics["auc"], abs=0.02)


def test_a_stream_reaches_a_parameter_servers_worker_row_by_row_as_one_device(
    binary_data: Path, tmp_path: Path
) -> None:
    """One worker takes the steps in their order: the same rows in the same batches give the same weights."""
    stream = SETTINGS | {"input": {"mode": "stream", "shuffle_rows": 150}, "steps_per_loop": 21, "epochs": 3}
    run(make_job(binary_data, tmp_path / "one", training=stream), tmp_path / "one")
    settings = stream | cluster("parameter_server", workers=1, parameter_servers=1)
    result = run(make_job(binary_data, tmp_path / "ps", training=settings), tmp_path / "ps")
    assert (result.steps, result.rows) == (33, 3 * 617)
    for expected, actual in zip(weights(tmp_path / "one"), weights(tmp_path / "ps"), strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5, rtol=2e-4)


def test_a_task_that_keeps_dying_ends_the_run_and_is_named(one_file_data: Path, tmp_path: Path) -> None:
    settings = SETTINGS | cluster("multi_worker_mirrored", workers=2, max_restarts=0)
    kill_when(tmp_path, "worker-1", lambda folder: (folder / "cluster" / "worker-1.pid").exists())
    with pytest.raises(TrainingError, match=r"worker 1 was ended by SIGKILL.*max_restarts") as caught:
        run(make_job(one_file_data, tmp_path, training=settings), tmp_path)
    assert "worker-1.log" in caught.value.remedy


def test_a_cluster_that_does_not_come_up_ends_in_time(one_file_data: Path, tmp_path: Path) -> None:
    settings = SETTINGS | cluster("parameter_server", start_timeout_seconds=0.5, max_restarts=0)
    with pytest.raises(TrainingError, match=r"did not come up for 0\.5 s"):
        run(make_job(one_file_data, tmp_path, training=settings), tmp_path)


def test_the_cluster_that_tf_config_names_is_joined(one_file_data: Path, tmp_path: Path) -> None:
    job = make_job(one_file_data, tmp_path, training=SETTINGS | cluster("multi_worker_mirrored", workers=2))
    members = {"worker": list(find_free_addresses(1))}
    environment = {"TF_CONFIG": json.dumps({"cluster": members, "task": {"type": "worker", "index": 0}})}
    content = job.model_dump(mode="json")
    outcome = subprocesses.run_module(MODULE, content, tmp_path / "log", timeout_seconds=240, environment=environment)
    assert outcome.result, outcome.error
    assert (outcome.result["strategy"], outcome.result["replicas"]) == ("multi_worker_mirrored", 1)
    assert not (tmp_path / "checkpoints" / "cluster").exists(), "none was started"


def test_a_killed_training_process_resumes_bit_for_bit(one_file_data: Path, tmp_path: Path) -> None:
    """SIGTERM, then SIGKILL of the whole process, some steps behind a checkpoint."""
    settings = LONG | {"optimizer": {"name": "adam"}, "ema_decay": 0.9, "checkpoint": {"every_steps": 30}}
    settings |= {"deterministic": True}
    run(make_job(one_file_data, tmp_path / "whole", training=settings), tmp_path)
    job = make_job(one_file_data, tmp_path / "broken", training=settings)
    outcome = _start_and_end(job, tmp_path, signal.SIGTERM)
    saved = max(job_steps(job))
    assert f"saved a checkpoint at step {saved}" in outcome.error
    assert _start_and_end(job, tmp_path, signal.SIGKILL, after=saved).returncode == -signal.SIGKILL
    assert max(job_steps(job)) > saved, "the second start went on"
    run(job, tmp_path)
    whole, broken = history(tmp_path / "whole"), history(tmp_path / "broken")
    assert [e["kind"] for e in broken["events"]] == ["resumed", "resumed"]
    for one, other in zip(whole["evaluations"], broken["evaluations"], strict=True):
        assert one["metrics"] == other["metrics"]
        assert (one["loss"], one["gradient_norm"]) == (other["loss"], other["gradient_norm"])
    for one, other in zip(weights(tmp_path / "whole"), weights(tmp_path / "broken"), strict=True):
        np.testing.assert_array_equal(one, other)


def job_steps(job: TrainingJob) -> list[int]:
    return checkpoint_steps(job.checkpoint_dir)


def _start_and_end(job: TrainingJob, out: Path, how: signal.Signals, after: int = 0) -> subprocesses.ChildOutcome:
    """Sends the training process a signal some steps behind a checkpoint of a later step than `after`."""
    import psutil

    def end() -> None:
        while True:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    if PAUSED in child.cmdline() and child.status() == psutil.STATUS_STOPPED:
                        child.send_signal(how)
                        child.send_signal(signal.SIGCONT)
                        return
            time.sleep(0.02)

    threading.Thread(target=end, daemon=True).start()
    environment = {PAUSE_AFTER_STEP: str(after)}
    content = job.model_dump(mode="json")
    return subprocesses.run_module(PAUSED, content, out / "ended.log", timeout_seconds=500, environment=environment)


def test_workers_with_disks_of_their_own_go_on_from_the_chiefs_checkpoint(
    one_file_data: Path, tmp_path: Path, undisturbed: TrainingResult
) -> None:
    """Only the chief's disk has checkpoints: both killed and started again, the chief sends its newest one."""
    members = list(find_free_addresses(2))
    settings = LONG | cluster("multi_worker_mirrored", workers=2)
    jobs = [make_job(one_file_data, tmp_path / f"host-{i}", training=settings, fingerprint="one") for i in range(2)]
    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(_on_host, i, job, members, tmp_path) for i, job in enumerate(jobs)]
        while not Path(jobs[0].checkpoint_dir).exists() or not job_steps(jobs[0]):
            assert not any(each.done() for each in first), [each.result().error for each in first if each.done()]
            time.sleep(0.02)
        _kill_both(tmp_path)
        assert {each.result().returncode for each in first} == {-signal.SIGKILL}
        assert not job_steps(jobs[1])
        again = [pool.submit(_on_host, i, job, members, tmp_path) for i, job in enumerate(jobs)]
        outcomes = [each.result() for each in again]
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert [event["kind"] for event in history(tmp_path / "host-0")["events"]] == ["resumed"]
    assert outcomes[0].result["metrics"]["auc"] == pytest.approx(undisturbed.metrics["auc"], abs=1e-3)
    assert not list(Path(jobs[1].checkpoint_dir).iterdir()), "the copy is gone"


def _on_host(index: int, job: TrainingJob, members: list[str], out: Path) -> subprocesses.ChildOutcome:
    task = {"cluster": {"worker": members}, "task": {"type": "worker", "index": index}}
    environment = {"TF_CONFIG": json.dumps(task), "HOST_OF_THE_TEST": str(out)}
    content = job.model_dump(mode="json")
    return subprocesses.run_module(MODULE, content, out / f"log-{index}", timeout_seconds=240, environment=environment)


def _kill_both(out: Path) -> None:
    import psutil

    for child in psutil.Process().children():
        if child.environ().get("HOST_OF_THE_TEST") == str(out):
            child.kill()
