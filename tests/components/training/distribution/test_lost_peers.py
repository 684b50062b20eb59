"""Members of a cluster that nobody supervises: limits, codes, and a real cluster that ends by itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from taxiway.components.errors import TrainingStoppedError
from taxiway.components.processes import subprocesses
from taxiway.components.training.distribution import cluster, lost_peers
from taxiway.components.training.distribution.cluster import find_free_addresses
from taxiway.components.training.main import MODULE
from tests.components.training import silent_member
from tests.components.training.distribution.test_cluster import LONG, SETTINGS
from tests.components.training.distribution.test_cluster import cluster as cluster_settings
from tests.components.training.paused import MODULE as PAUSED
from tests.components.training.paused import PAUSE_AFTER_STEP, checkpoint_steps
from tests.components.training.synthetic import make_job


@pytest.fixture
def started_elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of two members, of which none answers."""
    addresses = list(find_free_addresses(2))
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    for variable in (cluster.RESTARTS_VARIABLE, cluster.HEARTBEAT_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return addresses


def _watch(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    beats: int,
    then: str,
    terminated: Callable[[], bool] = lambda: False,
    start_seconds: float = 60,
) -> dict[str, Any]:
    monkeypatch.setenv(silent_member.BEATS, str(beats))
    monkeypatch.setenv(silent_member.THEN, then)
    limits = {"start_timeout_seconds": start_seconds, "step_timeout_seconds": 0.6}
    job = make_job(data, training={"strategy": "multi_worker_mirrored", "cluster": limits})
    assert lost_peers.needs_watch(job)
    return lost_peers.run_watched(job, silent_member.MODULE, terminated)


def test_a_member_that_makes_no_step_is_ended(
    binary_data: Path, started_elsewhere: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever holds it: no thread of its own could."""
    with pytest.raises(TrainingStoppedError, match=r"made no step for 0\.6 s") as raised:
        _watch(binary_data, monkeypatch, 1, "hang")
    assert raised.value.exit_code == 75


def test_one_that_never_makes_its_first_step_is_ended_and_says_who_does_not_answer(
    binary_data: Path, started_elsewhere: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = f"did not come up for 0.3 s: no answer from {', '.join(started_elsewhere)}"
    with pytest.raises(TrainingStoppedError, match=message):
        _watch(binary_data, monkeypatch, 0, "hang", start_seconds=0.3)


def test_steps_keep_it_alive_and_nobody_watches_the_export(
    binary_data: Path, started_elsewhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lost_peers.UP_VARIABLE, str(tmp_path / "up"))
    assert _watch(binary_data, monkeypatch, 6, "end") == {"label": "label", "terminated": False}
    assert (tmp_path / "up").exists()
    assert cluster.HEARTBEAT_VARIABLE not in os.environ


def test_one_that_is_asked_to_end_asks_what_it_watches(
    binary_data: Path, started_elsewhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lost_peers.UP_VARIABLE, str(tmp_path / "up"))
    assert _watch(binary_data, monkeypatch, 1, "wait", (tmp_path / "up").exists)["terminated"]


def test_one_that_is_killed_asks_to_be_started_again(
    binary_data: Path, started_elsewhere: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingStoppedError, match="was ended by SIGKILL"):
        _watch(binary_data, monkeypatch, 1, "die")


def test_our_own_supervisor_watches_its_members(
    binary_data: Path, started_elsewhere: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(binary_data, training={"strategy": "multi_worker_mirrored"})
    assert not lost_peers.needs_watch(make_job(binary_data))
    monkeypatch.setenv(cluster.RESTARTS_VARIABLE, "/nowhere")
    assert not lost_peers.is_started_elsewhere() and not lost_peers.needs_watch(job)


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_a_leader_whose_worker_never_comes_ends_in_time(one_file_data: Path, tmp_path: Path) -> None:
    limits = cluster_settings("multi_worker_mirrored", workers=2, start_timeout_seconds=20)
    job = make_job(one_file_data, tmp_path, training=SETTINGS | limits).model_dump(mode="json")
    members = {"worker": list(find_free_addresses(2))}
    outcome = _run_worker(job, members, 0, tmp_path)
    assert outcome.returncode == 75
    assert f"did not come up for 20 s: no answer from {members['worker'][1]}" in outcome.error


def test_what_tensorflow_says_of_a_lost_member(started_elsewhere: list[str]) -> None:
    ended: list[Any] = []
    with pytest.raises(tf.errors.UnavailableError), lost_peers.end_when_peers_are_lost(ended.append):
        raise tf.errors.UnavailableError(None, None, "Socket closed\nat x")
    assert isinstance(ended[0], TrainingStoppedError) and ended[0].problem.endswith("Socket closed")
    with pytest.raises(tf.errors.InvalidArgumentError), lost_peers.end_when_peers_are_lost(ended.append):
        raise tf.errors.InvalidArgumentError(None, None, "ours")
    assert len(ended) == 1


def test_the_end_of_a_chief_is_seen_only_after_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_peers, "CHIEF_SECONDS", 0.05)
    [address] = find_free_addresses(1)
    assert not lost_peers.await_end(address, 0.2)
    host, _, port = address.rpartition(":")
    listening = socket.create_server((host, int(port)))
    threading.Timer(0.5, listening.close).start()
    assert lost_peers.await_end(address, 5)


def _run_member(job: dict, members: dict, kind: str, out: Path, module: str = MODULE) -> subprocesses.ChildOutcome:
    task = {"cluster": members, "task": {"type": kind, "index": 0}}
    environment = {"TF_CONFIG": json.dumps(task), "MEMBER_OF_THE_TEST": f"{out} {kind}", PAUSE_AFTER_STEP: "0"}
    return subprocesses.run_module(module, job, out / f"log-{kind}", timeout_seconds=240, environment=environment)


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.parametrize("killed", [False, True])
def test_workers_and_servers_end_with_their_chief(one_file_data: Path, tmp_path: Path, killed: bool) -> None:
    """Well where it has finished; with the code that asks to be started again where it was lost."""
    settings = SETTINGS | cluster_settings("parameter_server", workers=1, parameter_servers=1)
    job = make_job(one_file_data, tmp_path, training=settings).model_dump(mode="json")
    addresses = find_free_addresses(3)
    members = {kind: [next(addresses)] for kind in ("chief", "worker", "ps")}
    with ThreadPoolExecutor(3) as pool:
        modules = {"chief": PAUSED if killed else MODULE}
        running = {
            kind: pool.submit(_run_member, job, members, kind, tmp_path, modules.get(kind, MODULE)) for kind in members
        }
        if killed:
            _signal_after_checkpoint(tmp_path, "chief", signal.SIGKILL)
        outcomes = {kind: future.result() for kind, future in running.items()}
    if killed:
        assert [outcomes[kind].returncode for kind in ("worker", "ps")] == [75, 75]
        assert "does not answer any more" in outcomes["ps"].error
        return
    assert {kind: outcome.returncode for kind, outcome in outcomes.items()} == {"chief": 0, "worker": 0, "ps": 0}
    assert outcomes["chief"].result and outcomes["worker"].result == {"ended": "with the chief"}


def _signal_after_checkpoint(out: Path, member: str, number: int) -> None:
    import psutil

    while not checkpoint_steps(out / "checkpoints"):
        time.sleep(0.02)
    [process] = [p for p in psutil.Process().children() if p.environ().get("MEMBER_OF_THE_TEST") == f"{out} {member}"]
    process.send_signal(number)


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_happens_to_one_worker_ends_both(one_file_data: Path, tmp_path: Path, how: int) -> None:
    """One is lost: the other notices it. One is asked to end: both save the same step."""
    limits = cluster_settings("multi_worker_mirrored", workers=2, step_timeout_seconds=30)
    settings = LONG | limits | {"checkpoint": {"every_steps": 30}}
    job = make_job(one_file_data, tmp_path, training=settings).model_dump(mode="json")
    members = {"worker": list(find_free_addresses(2))}
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(_run_worker, job, members, index, tmp_path) for index in range(2)]
        _signal_after_checkpoint(tmp_path, "worker 1", how)
        outcomes = [future.result() for future in running]
    assert outcomes[0].returncode == 75
    assert outcomes[1].returncode == (75 if how == signal.SIGTERM else -how)
    if how == signal.SIGTERM:
        saved = max(checkpoint_steps(tmp_path / "checkpoints"))
        assert all(f"saved a checkpoint at step {saved}" in outcome.error for outcome in outcomes)


def _run_worker(job: dict, members: dict, index: int, out: Path) -> subprocesses.ChildOutcome:
    environment = {
        "TF_CONFIG": json.dumps({"cluster": members, "task": {"type": "worker", "index": index}}),
        "MEMBER_OF_THE_TEST": f"{out} worker {index}",
    }
    return subprocesses.run_module(MODULE, job, out / f"log-{index}", timeout_seconds=240, environment=environment)
