"""`taxiway watch` in processes that are killed: what it began is neither lost nor doubled."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from taxiway.pipeline.watching import run_process
from tests.components.processes.test_subprocesses import until

PROGRAM = Path(__file__).with_name("watching_process.py")


@pytest.fixture
def start(place, command_environment):
    def start(*more):
        words = ["watch", str(place.config), "--once", "--json", "--settle", "0", "--root", str(place.root.path)]
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), *words, *more],
            env=command_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def wait_for_run(place, count=1):
    assert until(lambda: len(place.list_runs()) == count and place.list_runs()[-1].process, 60)
    return place.list_runs()[-1].process[0]


def read_results(process):
    out, error = process.communicate(timeout=60)
    return process.returncode, [(each["key"], each.get("outcome")) for each in json.loads(out)], error


def test_the_run_of_a_killed_watch_goes_on_and_the_next_watch_adopts_it(place, start):
    place.add_span(1, 2)
    first = start("--from-span", "1")
    child = wait_for_run(place)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close(), first.stderr.close()
    assert psutil.pid_exists(child) and run_process.is_running(place.state_folder)
    second = start()
    assert until(lambda: "waiting for its end" in second.stderr.readline(), 60)
    third = start()
    code, results, error = read_results(third)
    assert (code, results) == (0, []) and "Another `taxiway watch`" in error
    (place.root.path / "go-on").touch()
    code, results, _ = read_results(second)
    assert (code, results) == (0, [("1", "live"), ("2", "live")])
    assert [record.started_by.split(maxsplit=2)[2] for record in place.list_runs()] == ["span 1", "span 2"]


def test_where_the_run_was_killed_too_it_is_run_again(place, start):
    place.add_span(1)
    first = start()
    child = wait_for_run(place)
    first.kill(), psutil.Process(child).kill()
    first.communicate()
    (place.root.path / "go-on").touch()
    code, results, error = read_results(start())
    assert (code, results) == (0, [("1", "live")]) and "ended without a word" in error
    assert [record.state for record in place.list_runs()][-1] == "live" and len(place.list_runs()) == 2
    assert read_results(start())[1] == []


def test_a_watch_that_is_told_to_end_ends_its_run_and_says_so(place, start):
    place.add_span(1)
    first = start()
    child = wait_for_run(place)
    first.terminate()
    _, error = first.communicate(timeout=60)
    assert first.returncode == 143 and "started again" in error
    assert not psutil.pid_exists(child) and not run_process.is_running(place.state_folder)
