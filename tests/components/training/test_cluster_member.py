"""Which task of a cluster a pod is."""

from __future__ import annotations

import json
import os

import pytest

from taxiway.components.errors import TrainingError
from taxiway.components.processes import subprocesses
from taxiway.components.training import cluster_member

MEMBERS = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


def test_the_index_of_the_job_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.setenv("TAXIWAY_CLUSTER_MEMBERS", json.dumps(MEMBERS))
    monkeypatch.setenv("TAXIWAY_CLUSTER_TASK", "worker")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    assert cluster_member.set_cluster_task() == ("worker", 1)
    written = {"cluster": MEMBERS, "task": {"type": "worker", "index": 1}}
    assert json.loads(os.environ["TF_CONFIG"]) == written


def test_what_an_operator_has_written_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    task = {"cluster": MEMBERS, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    assert cluster_member.set_cluster_task() == ("chief", 0)
    assert json.loads(os.environ["TF_CONFIG"]) == task


def test_a_process_of_no_cluster_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.delenv("TAXIWAY_CLUSTER_MEMBERS", raising=False)
    with pytest.raises(TrainingError, match="no task of a cluster"):
        cluster_member.set_cluster_task()


def test_only_the_code_that_asks_for_a_new_start_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(subprocesses.RETRY_VARIABLE, "138")
    assert [subprocesses.translate_exit_code(code) for code in (75, 1, 2)] == [138, 1, 2]
    monkeypatch.delenv(subprocesses.RETRY_VARIABLE)
    assert subprocesses.translate_exit_code(75) == 75


def test_one_alone_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.setenv("TAXIWAY_CLUSTER_MEMBERS", json.dumps({"chief": ["no-such-host:2222"]}))
    monkeypatch.setenv("TAXIWAY_CLUSTER_TASK", "chief")
    monkeypatch.delenv("JOB_COMPLETION_INDEX", raising=False)
    assert cluster_member.set_cluster_task() == ("chief", 0)
    [address] = json.loads(os.environ["TF_CONFIG"])["cluster"]["chief"]
    assert address.startswith("127.0.0.1:") and not address.endswith(":2222")
