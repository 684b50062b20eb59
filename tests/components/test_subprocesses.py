"""A child ends with the process that waits for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import sys
from components import subprocesses
subprocesses.run("tests.components.children", {"file": sys.argv[1]}, sys.argv[2], timeout_seconds=100)
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in ("Z", "X")
    except FileNotFoundError:
        return False


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_a_child_hears_that_its_parent_was_killed(tmp_path):
    told = tmp_path / "child"
    command = [sys.executable, "-c", PARENT, str(told), str(tmp_path / "log")]
    parent = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    assert until(lambda: told.exists() and told.read_text().endswith("waits")), (tmp_path / "log").read_text()
    child = int(told.read_text().split()[0])
    assert alive(child)
    parent.kill()
    assert parent.wait(timeout=60) == -signal.SIGKILL
    assert until(lambda: not alive(child)), "the child goes on without its parent"
    assert told.read_text().endswith("asked to end"), "it had no chance to write what it has"


def test_an_interrupted_parent_asks_its_child_to_end(tmp_path):
    told = tmp_path / "child"
    command = [sys.executable, "-c", PARENT, str(told), str(tmp_path / "log")]
    parent = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
    assert until(lambda: told.exists() and told.read_text().endswith("waits")), (tmp_path / "log").read_text()
    parent.send_signal(signal.SIGINT)
    assert parent.wait(timeout=60) == -signal.SIGINT
    assert told.read_text().endswith("asked to end")


def test_what_a_child_leaves_among_temporary_files_goes_with_it(tmp_path, monkeypatch):
    from components import subprocesses

    monkeypatch.setattr(subprocesses.tempfile, "tempdir", str(tmp_path))
    job = {"file": str(tmp_path / "told"), "leaves": True}
    outcome = subprocesses.run("tests.components.children", job, tmp_path / "log", timeout_seconds=60)
    left = Path((tmp_path / "told").read_text())
    assert outcome.returncode == -signal.SIGKILL
    assert left.is_relative_to(tmp_path) and not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "told"]


def test_a_grandchild_is_no_child_of_ours(monkeypatch):
    from components import subprocesses

    monkeypatch.setattr(subprocesses.ctypes, "CDLL", lambda _: object())  # it would hold for this test's process
    monkeypatch.setenv("TAXIWAY_PARENT_PROCESS", str(os.getppid()))
    subprocesses._end_with_parent()
    assert "TAXIWAY_PARENT_PROCESS" not in os.environ, "what this process starts must not look for it"
