"""A child: what it imports, how it ends, what its parent is told."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taxiway.components import errors
from taxiway.components.processes import subprocesses

HOME = Path(__file__).parents[3]
PARENT = """
import sys
from taxiway.components.processes import subprocesses
subprocesses.run_module("tests.components.children", {"file": sys.argv[1]}, sys.argv[2], timeout_seconds=100)
"""

WATCHER = """
import signal, sys, time
from pathlib import Path
from taxiway.components.processes import subprocesses
job, result, log = (Path(sys.argv[1], name) for name in ("job", "result", "log"))
options = {"environment": {}, "parent_death_signal": signal.SIGKILL, "new_session": False}
subprocesses.start_module("tests.components.children", job, result, log, **options)
time.sleep(100)
"""


STARTER = """
import sys, time
from pathlib import Path
from taxiway.components.processes import subprocesses
told = sys.argv[1]
command = f"trap 'echo asked > {told}.end; exit' TERM; echo $$ > {told}; while :; do sleep 0.1; done"
subprocesses.start_program(["sh", "-c", command])
time.sleep(100)
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
    parent = subprocess.Popen(command, cwd=Path(__file__).parents[3])
    assert until(lambda: told.exists() and told.read_text().endswith("waits")), (tmp_path / "log").read_text()
    child = int(told.read_text().split()[0])
    assert alive(child)
    parent.kill()
    assert parent.wait(timeout=60) == -signal.SIGKILL
    assert until(lambda: not alive(child)), "the child goes on without its parent"
    assert told.read_text().endswith("asked to end"), "it had no chance to write what it has"


def test_a_task_of_a_cluster_is_killed_with_its_parent(tmp_path):
    """It may wait for another task and hear no SIGTERM."""
    told = tmp_path / "child"
    (tmp_path / "job").write_text(json.dumps({"file": str(told), "go_on": str(tmp_path / "never")}))
    parent = subprocess.Popen([sys.executable, "-c", WATCHER, str(tmp_path)])
    assert until(lambda: told.exists() and told.read_text().endswith("waits")), (tmp_path / "log").read_text()
    child = int(told.read_text().split()[0])
    parent.kill()
    assert parent.wait(timeout=60) == -signal.SIGKILL
    assert until(lambda: not alive(child)), "the task goes on without its parent"


def test_a_program_is_asked_to_end_when_its_parent_is_killed_with_its_group(tmp_path):
    """As a validation that ran out of time: the engine must hear it, or its container goes on."""
    told = tmp_path / "program"
    parent = subprocess.Popen([sys.executable, "-c", STARTER, str(told)], start_new_session=True)
    assert until(lambda: told.exists() and told.read_text().endswith("\n"))
    program = int(told.read_text())
    assert alive(program)
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait(timeout=60)
    assert until(lambda: not alive(program)), "the program goes on without its parent"
    assert Path(f"{told}.end").read_text() == "asked\n"


def test_a_program_is_ended_and_writes_where_its_parent_does(capfd):
    program = subprocesses.start_program(["sh", "-c", "echo out; echo err >&2; exec sleep 100"])
    assert until(lambda: capfd.readouterr().out)
    subprocesses.end_process(program)
    assert program.returncode == -signal.SIGTERM


def test_an_interrupted_parent_asks_its_child_to_end(tmp_path):
    told = tmp_path / "child"
    command = [sys.executable, "-c", PARENT, str(told), str(tmp_path / "log")]
    parent = subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL)
    assert until(lambda: told.exists() and told.read_text().endswith("waits")), (tmp_path / "log").read_text()
    parent.send_signal(signal.SIGINT)
    assert parent.wait(timeout=60) == -signal.SIGINT
    assert told.read_text().endswith("asked to end")


def test_what_a_child_leaves_among_temporary_files_goes_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocesses.tempfile, "tempdir", str(tmp_path))
    job = {"file": str(tmp_path / "told"), "leaves": True}
    outcome = subprocesses.run_module("tests.components.children", job, tmp_path / "log", timeout_seconds=60)
    left = Path((tmp_path / "told").read_text())
    assert outcome.returncode == -signal.SIGKILL
    assert left.is_relative_to(tmp_path) and not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "told"]


def test_a_grandchild_is_no_child_of_ours(monkeypatch):
    monkeypatch.setattr(subprocesses.ctypes, "CDLL", lambda _: object())  # it would hold for this test's process
    monkeypatch.setenv("TAXIWAY_PARENT_PROCESS", f"{os.getppid()} 15")
    subprocesses.end_with_parent()
    assert "TAXIWAY_PARENT_PROCESS" not in os.environ, "what this process starts must not look for it"


def test_the_current_folder_is_not_searched_for_modules(tmp_path, monkeypatch):
    """Neither for what has our names nor for libraries; `PYTHONPATH` is, and cannot replace `taxiway` either."""
    hostile, users = tmp_path / "hostile", tmp_path / "users"
    for name in ("taxiway", "components", "pipeline", "data", "yaml"):
        for folder in (hostile, users) if name == "taxiway" else (hostile,):
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").write_text("raise SystemExit('a hostile module was imported')\n")
    (hostile / "json.py").write_text("raise SystemExit('a hostile module was imported')\n")
    (users / "mine.py").write_text("VALUE = 3\n")
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(users), str(HOME)]))
    names = ["taxiway.components.errors", "yaml", "mine"]
    outcome = subprocesses.run_module("tests.components.children", {"imports": names}, None, timeout_seconds=60)
    assert outcome.ok, outcome.log_tail
    ours, library, own = outcome.result["files"]
    assert Path(ours).samefile(HOME / "components" / "errors.py")
    assert not Path(library).is_relative_to(tmp_path)
    assert own == str(users / "mine.py")
    done = subprocess.run(
        subprocesses.make_command("taxiway", "--help"), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and "rollback" in done.stdout, done.stderr


class OddServingError(errors.ServingError):
    """Known to this process only."""


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (errors.DataError("no column", "see password=hunter2"), errors.DataError),
        (OddServingError("no model", "push one"), errors.ServingError),
        (ValueError("a bug"), errors.TrainingError),
    ],
)
def test_an_error_keeps_its_class(raised, expected):
    content = json.loads(json.dumps(errors.serialize_error(raised)))
    outcome = subprocesses.ChildOutcome(None, 1, content["error"], "", 0.0, content, "the last line")
    with pytest.raises(errors.TaxiwayError) as caught:
        subprocesses.raise_child_error(outcome, errors.TrainingError)
    assert type(caught.value) is expected
    assert "hunter2" not in str(caught.value)
    if isinstance(raised, errors.TaxiwayError):
        assert (caught.value.problem, caught.value.remedy) == (raised.problem, raised.remedy)
    else:
        assert str(caught.value) == "ValueError: a bug\nthe last line"


def test_what_a_child_said_last_is_kept_where_its_log_is_not(tmp_path):
    job = {"imports": ["no_such_module"]}
    with pytest.raises(errors.TrainingError, match="No module named 'no_such_module'") as caught:
        subprocesses.run_module_checked(
            "tests.components.children", job, None, errors.TrainingError, timeout_seconds=60
        )
    assert caught.value.remedy.endswith("ModuleNotFoundError: No module named 'no_such_module'")
    with pytest.raises(errors.TrainingError) as caught:
        subprocesses.run_module_checked("tests.components.children", job, tmp_path / "log", errors.TrainingError)
    assert caught.value.remedy == f"The log has the details: {tmp_path / 'log'}"
    assert "no_such_module" in (tmp_path / "log").read_text()


def test_a_child_that_does_not_end_in_time_is_killed_with_its_children(tmp_path):
    job = {"file": str(tmp_path / "told"), "starts": True}
    outcome = subprocesses.run_module("tests.components.children", job, None, timeout_seconds=4)
    assert outcome.returncode is None and "did not end within 4 s and was killed" in outcome.error
    child, grandchild = map(int, (tmp_path / "told").read_text().split())
    assert until(lambda: not alive(child) and not alive(grandchild), 10)


@pytest.mark.parametrize(("deaf", "code"), [(False, -signal.SIGTERM), (True, -signal.SIGKILL)])
def test_a_process_that_does_not_hear_is_killed(deaf, code):
    words = "import signal, time; " + ("signal.signal(signal.SIGTERM, signal.SIG_IGN); " if deaf else "")
    process = subprocess.Popen(
        [sys.executable, "-c", words + "print(1, flush=True); time.sleep(60)"], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    subprocesses.end_process(process, grace_seconds=0.5)
    process.stdout.close()
    assert process.returncode == code
