"""What a person sees of a run on Kubeflow, and the exit codes."""

from __future__ import annotations

import json

import pytest

from taxiway.pipeline import cli
from taxiway.pipeline.kubeflow import following
from tests.pipeline.kubeflow.api_server import list_argo_tasks

POD = "taxi-abcde-retry-system-container-impl-3270819491"


@pytest.fixture()
def taxiway(backend, capsys, monkeypatch):
    """Runs a command against the server; exit code, standard output, standard error."""
    monkeypatch.setattr(following.follow_run, "__kwdefaults__", {"every_seconds": 10.0, "sleep": lambda _: None})

    def call(*arguments):
        code = cli.run([*arguments, "--host", backend.url])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_a_failed_step_is_shown_with_the_end_of_its_log_and_the_link(backend, package, taxiway):
    backend.states, backend.tasks = ["FAILED"], list_argo_tasks({"Transform": "SUCCEEDED", "Trainer": "FAILED"})
    backend.logs[POD] = "".join(f"line {number}\n" for number in range(60)) + "no such column\n"
    code, out, _ = taxiway("submit", str(package), "--wait")
    assert code == 1
    assert out.count(" failed.") == 1 and "Trainer failed." in out
    assert "no such column" in out and "line 59" in out and "line 10\n" not in out
    assert out.rstrip().endswith(f"{backend.url}/#/runs/details/r1")


def test_a_log_that_is_gone_is_no_json_on_the_screen(backend, taxiway):
    backend.states, backend.tasks = ["FAILED"], list_argo_tasks({"Trainer": "FAILED"})
    code, out, _ = taxiway("follow", "r1", "--namespace", "team")
    assert code == 1 and "error_message" not in out
    assert "No log of Trainer." in out and "kubectl logs -l pipeline/runid=r1" in out


def test_a_gate_that_blocks_is_no_success_and_no_failure(backend, package, taxiway):
    backend.states = ["SUCCEEDED"]
    backend.tasks = list_argo_tasks({"Evaluator": "SUCCEEDED", "Pusher": "SKIPPED"})
    code, out, _ = taxiway("submit", str(package), "--wait")
    assert code == 3 and "kept Pusher from running" in out


def test_a_live_model(backend, package, taxiway):
    backend.tasks = list_argo_tasks({"Evaluator": "SUCCEEDED", "Pusher": "SUCCEEDED"})
    code, out, _ = taxiway("submit", str(package), "--wait", "--json")
    assert code == 0 and json.loads(out) == {"run_id": "r1", "state": "SUCCEEDED", "failed": [], "skipped": []}


def test_a_server_that_lists_no_nodes(backend, taxiway):
    backend.tasks = None
    code, out, _ = taxiway("follow", "r1")
    assert code == 0 and "does not list nodes" in out
    backend.states = ["FAILED"]
    code, out, _ = taxiway("follow", "r1")
    assert code == 1 and "The run failed. The server lists no step that failed." in out
    assert taxiway("logs", "r1", "Trainer")[0] == 1


def test_a_blocked_run_of_a_server_without_ml_metadata(backend, taxiway):
    """It lists its tasks where it is asked for all of a run, which is not done at each look."""
    backend.tasks, backend.states = None, ["RUNNING", "RUNNING", "SUCCEEDED"]
    tasks = [{"name": "Evaluator", "state": "SUCCEEDED"}, {"name": "Pusher", "state": "SKIPPED"}]
    backend.full_view = {"tasks": [{"run_id": "r1", "type": "RUNTIME", **task} for task in tasks]}
    code, out, _ = taxiway("follow", "r1", "--json")
    assert code == 3 and json.loads(out)["skipped"] == ["Pusher"]
    assert [path.endswith("?view=FULL") for _, path in backend.requests if "/runs/r1" in path] == [False] * 3 + [True]


def test_a_log_of_a_server_without_ml_metadata(backend, taxiway):
    backend.tasks, backend.states, backend.logs = None, ["RUNNING"], {"own-pod": "step 2\n"}
    pods = [{"name": "own-pod", "type": "EXECUTOR"}]
    backend.full_view = {"tasks": [{"name": "Trainer", "type": "RUNTIME", "state": "RUNNING", "pods": pods}]}
    code, out, _ = taxiway("logs", "r1", "Trainer")
    assert (code, out.strip()) == (0, "step 2")


def test_lost_sight(backend, package, taxiway):
    backend.outages = [(503, "upstream connect error")] * 20
    code, _, error = taxiway("submit", str(package), "--wait")
    assert code == 4 and "taxiway follow r1 --host" in error


def test_a_log(backend, taxiway):
    backend.states, backend.tasks = ["RUNNING"], list_argo_tasks({"Trainer": "FAILED"})
    backend.logs[POD] = "step [1]\nstep 2\n"
    code, out, _ = taxiway("logs", "r1", "Trainer")
    assert (code, out.strip()) == (0, "step [1]\nstep 2")
    code, _, error = taxiway("logs", "r1", "Trainr")
    assert code == 2 and "Did you mean 'Trainer'" in error


def test_cancel(backend, taxiway):
    code, out, _ = taxiway("cancel", "r1")
    assert code == 0 and backend.cancelled == ["r1"] and "taxiway follow r1" in out


@pytest.mark.parametrize("schedule", [(), ("--every", "@daily")])
def test_what_is_wrong_in_the_command_is_said_before_the_server_is_asked(package, capsys, schedule):
    nobody = ("--host", "http://127.0.0.1:9", *schedule)
    for arguments, said in (
        ((package, "--param", "epoch=3"), "no parameter 'epoch'"),
        (("none.yaml",), "cannot be read"),
    ):
        assert cli.run(["submit", *map(str, arguments), *nobody]) == 2
        assert said in capsys.readouterr().err
