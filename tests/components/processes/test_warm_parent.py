"""Children that a warm parent forks are as fresh ones: isolated, ended with the run, told of their environment."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from taxiway.components.processes import phases, subprocesses
from taxiway.components.processes.warm_parent import use_warm_parent
from tests.components.processes.test_subprocesses import alive, until

CHILD, DEVICES = "tests.components.children", "tests.components.processes.device_child"
HOME = Path(__file__).parents[3]
RUN = """
import sys
from pathlib import Path
from taxiway.components.processes import subprocesses, warm_parent
told, log = sys.argv[1], Path(sys.argv[2])
with warm_parent.use_warm_parent(["tests.components.children"], ["decimal"], log):
    subprocesses.run_module("tests.components.children", {"file": told}, log, timeout_seconds=100)
"""


@pytest.fixture
def warm(tmp_path):
    with use_warm_parent([CHILD], ["decimal", "no_such_module"], tmp_path / "warm.log"):
        yield tmp_path


def look(log=None, **job):
    return subprocesses.run_module(CHILD, {"looks": True, **job}, log, timeout_seconds=60)


def test_a_child_is_a_fork_with_a_session_and_the_callers_environment(warm, monkeypatch):
    monkeypatch.setenv("TAXIWAY_SEEN", "value")
    monkeypatch.chdir(warm)
    outcome = look()
    assert outcome.ok, outcome.log_tail
    seen = outcome.result
    assert "decimal" in seen["modules"] and seen["parent"] != os.getpid()
    assert seen["session"] == seen["pid"], "a time-out must reach its own children too"
    assert seen["folder"] == str(warm)
    assert seen["environment"]["TAXIWAY_SEEN"] == "value"
    assert seen["environment"]["TF_USE_LEGACY_KERAS"] == "1"
    assert seen["temporary"] == seen["environment"]["TMPDIR"] != os.environ.get("TMPDIR")
    assert seen["name"] == "__main__"
    second = look().result
    assert (second["parent"], second["pid"] != seen["pid"]) == (seen["parent"], True)
    assert "no_such_module" in (warm / "warm.log").read_text()


def test_what_an_import_may_have_read_and_other_modules_get_a_fresh_process(warm):
    outcome = subprocesses.run_module(CHILD, {"looks": True}, None, environment={"OMP_NUM_THREADS": "1"})
    assert outcome.result["parent"] == os.getpid()
    outcome = subprocesses.run_module("taxiway.pipeline.report.scoring", {}, None, timeout_seconds=60)
    assert not outcome.ok and "Traceback" in outcome.log_tail


def test_what_it_prints_goes_to_its_log_and_its_error_comes_back(warm, monkeypatch):
    monkeypatch.chdir(warm)
    outcome = subprocesses.run_module(CHILD, {"imports": ["no.such.module"]}, "child.log")
    assert not outcome.ok and outcome.returncode == 1
    assert "No module named" in outcome.error
    assert "Traceback" in (warm / "child.log").read_text()


def test_a_child_that_aborts_ends_alone(warm):
    outcome = subprocesses.run_module(CHILD, {"aborts": True}, None, timeout_seconds=60)
    assert outcome.returncode == -signal.SIGABRT
    assert "SIGABRT" in outcome.error
    assert look().ok


def test_a_child_that_does_not_end_in_time_is_killed_with_its_children(warm):
    told = warm / "told"
    outcome = subprocesses.run_module(CHILD, {"file": str(told), "starts": True}, None, timeout_seconds=4)
    assert outcome.returncode is None and "did not end within 4 s" in outcome.error
    child, grandchild = map(int, told.read_text().split())
    assert until(lambda: not alive(child) and not alive(grandchild))


def test_several_run_at_a_time(warm):
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(look())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({outcome.result["pid"] for outcome in outcomes}) == 4


def test_where_the_warm_parent_was_killed_fresh_processes_go_on(warm):
    os.kill(look().result["parent"], signal.SIGKILL)
    assert until(lambda: look().result["parent"] == os.getpid())


def test_the_warm_parent_ends_with_the_block(tmp_path):
    with use_warm_parent([CHILD], [], tmp_path / "log"):
        parent = look().result["parent"]
        assert alive(parent)
    assert not alive(parent)
    assert look().result["parent"] == os.getpid()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_child_hears_of_the_end_of_the_run(tmp_path, number):
    told, log = tmp_path / "child", tmp_path / "log"
    command = [sys.executable, "-c", RUN, str(told), str(log)]
    run = subprocess.Popen(command, cwd=HOME, stderr=subprocess.DEVNULL, start_new_session=True)
    assert until(lambda: told.exists() and told.read_text().endswith("waits")), log.read_text()
    child = int(told.read_text().split()[0])
    parent = int(Path(f"/proc/{child}/stat").read_text().split()[3])
    assert parent != run.pid
    run.send_signal(number)
    run.wait(timeout=60)
    assert until(lambda: not alive(child) and not alive(parent)), "something goes on without the run"
    assert told.read_text().endswith("asked to end"), "it had no chance to write what it has"


def test_tensorflow_is_imported_once_and_configured_by_each_child(tmp_path, monkeypatch):
    """The import has started nothing: devices and threads can be set, and the numbers are a fresh process's."""
    monkeypatch.setenv(phases.FILE_VARIABLE, str(tmp_path / "spans"))
    fresh = subprocesses.run_module_checked(DEVICES, {"devices": 3}, None, subprocesses.errors.TaxiwayError)
    with use_warm_parent([DEVICES], ["tensorflow", "tf_keras"], tmp_path / "log"):
        forked = [
            subprocesses.run_module_checked(DEVICES, {"devices": n}, None, subprocesses.errors.TaxiwayError)
            for n in (3, 2)
        ]
    assert [each["devices"] for each in forked] == [3, 2]
    assert all(each["imported_before"] for each in forked) and not fresh["imported_before"]
    assert forked[0]["weights"] == forked[1]["weights"] == fresh["weights"]
    spans = [json.loads(line) for line in (tmp_path / "spans").read_text().splitlines()]
    long = [
        span for span in spans if span.get("what", "").startswith("tensorflow") and span["end"] - span["start"] > 0.3
    ]
    assert len({span["process"] for span in long}) == 2, "the fresh process and the warm parent"
