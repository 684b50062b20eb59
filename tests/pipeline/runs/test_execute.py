"""`taxiway run` around the sample pipeline: exit codes, summary, display, cache, parts, lock, interruption."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pytest
import yaml

from taxiway.pipeline import cli
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.on_disk.root_lock import LOCK_FILE, hold_lock
from taxiway.pipeline.tracking import history, run_record
from taxiway.pipeline.tracking.store.metadata_store import RunStore

REPOSITORY = Path(__file__).parents[3]
START_TIMEOUT_SECONDS = 400
"""The import of TFX takes 10 s on a quiet machine, and much longer on a busy one."""
END_TIMEOUT_SECONDS = 200


def taxiway(*arguments):
    return cli.run([str(argument) for argument in arguments])


def newest(root) -> run_record.RunRecord:
    return history.find_run(Root.at(root), None)


def states(run):
    return {node.node: node.state for node in run.nodes}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def test_a_run_to_its_end(root, sample_dag, capfd):
    assert taxiway("run", "--root", root) == 0
    printed = capfd.readouterr()
    run = newest(root)
    assert states(run) == {"Rows": "done", "Gate": "done", "Work": "done", "Last": "done"}
    assert run.state == "done"
    assert [(gate.gate, gate.passed, gate.numbers) for gate in run.gates] == [("Gate", True, {"rows": {"eval": 3}})]
    assert all(node.peak_memory_mb > 50 and node.seconds >= 0 for node in run.nodes)
    assert "✓ Rows" in printed.out
    assert run.log in printed.out
    assert "noise" not in printed.out + printed.err
    log = Path(run.log).read_text()
    assert "noise on standard output" in log
    assert "noise on standard error" in log
    assert yaml.safe_load((root / "runs" / run.run_id / "config.yaml").read_text())["name"] == run.model
    progress = (root / "runs" / run.run_id / "progress.jsonl").read_text()
    assert json.loads(progress)["message"] == "half way"


def test_a_report_that_cannot_be_written_changes_nothing_else(root, sample_dag, monkeypatch, capfd):
    def broken(*_, **more):
        raise ZeroDivisionError("no page")

    monkeypatch.setattr("taxiway.pipeline.report.write_report", broken)
    assert taxiway("run", "--root", root) == 0
    assert "report: not written: ZeroDivisionError: no page" in capfd.readouterr().out
    assert newest(root).state == "done"


def test_a_gate_blocks(root, sample_dag, capfd):
    sample_dag["passed"] = 0
    assert taxiway("run", "--root", root) == 3
    run = newest(root)
    assert Path(run.report).is_file(), "blocked runs have a report too"
    assert run.state == "blocked"
    assert states(run) == {"Rows": "done", "Gate": "done", "Work": "skipped", "Last": "skipped"}
    assert run.nodes[2].reason == "Gate blocked"
    assert run.reason == "Gate: the split 'eval' holds 3 rows"
    printed = capfd.readouterr().out
    assert "! Gate" in printed
    assert "Blocked: the live model stays as it is" in printed


def test_our_error_keeps_its_exit_code_and_its_words(root, sample_dag, capfd):
    sample_dag["fail"] = "usage"
    assert taxiway("run", "--root", root) == 2
    printed = capfd.readouterr()
    assert "rows.csv has no column 'x'." in printed.out
    assert "Traceback" not in printed.out + printed.err
    assert f"Go on with: taxiway run --root {root}" in printed.out.replace("\n", "")
    assert states(newest(root)) == {"Rows": "failed", "Gate": "skipped", "Work": "skipped", "Last": "skipped"}


def test_a_bug_is_a_paragraph_and_a_traceback_in_the_log(root, sample_dag, capfd):
    sample_dag["fail"] = "bug"
    assert taxiway("run", "--root", root) == 1
    printed = capfd.readouterr()
    assert "Rows: ZeroDivisionError: the divisor was zero" in printed.out
    assert "Traceback" not in printed.out + printed.err
    assert "Traceback" in Path(newest(root).log).read_text()


def test_cache_and_no_cache(root, sample_dag):
    taxiway("run", "--root", root)
    taxiway("run", "--root", root)
    assert states(newest(root)) == {"Rows": "cached", "Gate": "cached", "Work": "cached", "Last": "done"}
    assert newest(root).gates, "a cached gate still says what it decided"
    taxiway("run", "--root", root, "--no-cache")
    assert set(states(newest(root)).values()) == {"done"}
    other = root.with_name("another root")
    taxiway("run", "--root", other)
    assert set(states(newest(other)).values()) == {"done"}, "another root knows nothing of this one's cache"


def test_a_part_of_the_pipeline(root, sample_dag, capfd):
    assert taxiway("run", "--root", root, "--from", "Work") == 2
    assert "Run without --from first" in capfd.readouterr().err
    assert history.list_runs(Root.at(root)) == [], "wrong usage is no failed run"
    taxiway("run", "--root", root)
    base = newest(root).run_id
    assert taxiway("run", "--root", root, "--from", "Work", "--to", "Work") == 0
    run = newest(root)
    assert states(run) == {"Rows": "skipped", "Gate": "skipped", "Work": "cached", "Last": "skipped"}
    assert run.nodes[0].reason == f"not in this part; artifacts are of run {base}"
    assert run.nodes[3].reason == "not in this part"


def test_damaged_artifacts_are_made_again(root, sample_dag, capfd):
    taxiway("run", "--root", root)
    verdict = root / "artifacts" / "Gate" / "verdict" / "2" / "verdict.json"
    verdict.write_text(verdict.read_text() + " ")
    taxiway("run", "--root", root)
    assert "is changed; what wrote it runs again" in capfd.readouterr().out
    # What a condition alone reads is no part of a key: `Work` has the inputs that it had.
    assert states(newest(root)) == {"Rows": "cached", "Gate": "done", "Work": "cached", "Last": "done"}


def test_the_same_on_beam(root, sample_dag):
    assert taxiway("run", "--root", root, "--orchestrator", "beam") == 0
    assert states(newest(root)) == {"Rows": "done", "Gate": "done", "Work": "done", "Last": "done"}


def test_json_is_alone_on_standard_output(root, sample_dag, capfd):
    assert taxiway("run", "--root", root, "--json") == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["state"] == "done"
    assert "✓ Rows" in printed.err


def test_two_runs_on_one_root(root, capfd):
    root.mkdir()
    with filelock.FileLock(root / LOCK_FILE):
        assert taxiway("run", "--root", root, "--no-wait") == 1
    assert "Another run holds the root" in capfd.readouterr().err


def test_an_unwritable_root_is_refused(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    assert taxiway("run", "--root", tmp_path / "file" / "root") == 2
    assert "cannot be written" in capfd.readouterr().err


def test_a_foreign_database_is_refused(root, capfd):
    root.mkdir()
    (root / "metadata.db").write_text("not a database")
    assert taxiway("run", "--root", root) == 1
    assert "is no sqlite database" in capfd.readouterr().err


def test_the_second_run_waits_and_says_so(root, monkeypatch):
    root.mkdir()
    held, left, said = threading.Event(), threading.Event(), threading.Event()

    class Heard(io.StringIO):
        def write(self, text):
            if "waiting for its end" in text:
                said.set()
            return super().write(text)

    def first():
        with filelock.FileLock(root / LOCK_FILE):
            held.set()
            said.wait(timeout=60)
            left.set()

    monkeypatch.setattr(sys, "stderr", Heard())
    thread = threading.Thread(target=first)
    thread.start()
    held.wait(timeout=60)
    with hold_lock(Root.at(root), wait=True):
        assert left.is_set()
    thread.join()
    assert said.is_set()


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20d", "{SPAN}", "a*b", 'it\'s "so"', "$HOME;x", "ü–日", "~x", "-r"])
def test_a_root_may_be_called_anything(tmp_path, sample_dag, capfd, name):
    root = tmp_path / "in" / name
    assert taxiway("run", "--root", root) == 0
    printed = capfd.readouterr()
    assert newest(root).log in printed.out.replace("\n", "")
    for command in ("runs", "show"):
        assert taxiway(command, "--root", root) == 0, capfd.readouterr()
    assert taxiway("lineage", newest(root).run_id, "--root", root) == 0
    taxiway("run", "--root", root)
    assert states(newest(root))["Work"] == "cached"
    assert [path.name for path in (tmp_path / "in").iterdir()] == [name], "nothing appears beside it"


@pytest.mark.parametrize("name", ["[red]x[/blue]", "a[b", "back\\slash"])
def test_a_root_that_tensorflow_cannot_read_is_refused_before_the_run(tmp_path, sample_dag, capfd, name):
    assert taxiway("run", "--root", tmp_path / name) == 2
    printed = capfd.readouterr()
    assert "takes for a pattern" in printed.err and "Give another folder with --root" in printed.err
    assert not (tmp_path / name).exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB: the store alone takes more than half of it."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"only root may mount a small file system: {mounted.stderr.strip()}")
    yield place
    # Lazily: on stack `current` this process still holds a file there.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_said_and_the_next_run_goes_on(small_disk, sample_dag, capfd):
    root = small_disk / "root"
    root.mkdir()
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 200_000)
    assert taxiway("run", "--root", root) == 1
    printed = capfd.readouterr()
    words = (printed.out + printed.err).replace("\n", " ")
    assert "The disk that holds the root" in words
    assert "Free some space" in words
    assert "Traceback" not in words
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert taxiway("run", "--root", root) == 0


def start(root, **environment):
    command = [sys.executable, "-m", "tests.pipeline.sample_cli", "run", "--root", str(root)]
    environment = {**os.environ, "SAMPLE_FAIL": "slow", **environment}
    child = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        if any("half way" in path.read_text() for path in root.glob("runs/*/progress.jsonl")):
            return child
        time.sleep(0.2)
    child.kill()
    pytest.fail(f"the run never reached its first node:\n{child.communicate()[0]}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_ends_plainly(root, number, code):
    child = start(root)
    child.send_signal(number)
    printed, _ = child.communicate(timeout=END_TIMEOUT_SECONDS)
    assert child.returncode == code, printed
    assert "Traceback" not in printed
    assert "Go on with: taxiway run" in printed
    run = newest(root)
    assert (run.state, run.exit_code) == ("interrupted", code)
    assert states(run)["Rows"] == "interrupted"
    assert [e.state for e in RunStore(root / "metadata.db").list_run_executions(run.run_id)] == ["CANCELED"]


def test_an_interruption_that_beam_wraps_is_one(root):
    command = [sys.executable, "-m", "tests.pipeline.sample_cli", "run", "--root", str(root)]
    environment = {**os.environ, "SAMPLE_FAIL": "interrupted in Beam"}
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 130, done.stdout + done.stderr
    run = newest(root)
    assert (run.state, run.exit_code) == ("interrupted", 130)
    assert states(run)["Rows"] == "interrupted"
    assert "Go on with: taxiway run" in done.stdout
    assert not (root / ".tmp").exists(), "temporary files go with the run"


def test_the_run_after_a_killed_one_ends_its_executions(root, sample_dag, capfd):
    child = start(root)
    child.kill()
    child.wait(timeout=END_TIMEOUT_SECONDS)
    dead = newest(root)
    assert (dead.state, dead.reason) == ("interrupted", "the process ended without a word in Rows")
    assert [e.state for e in RunStore(root / "metadata.db").list_run_executions(dead.run_id)] == ["RUNNING"]
    assert taxiway("run", "--root", root) == 0
    assert "An earlier run died in Rows" in capfd.readouterr().out
    assert [e.state for e in RunStore(root / "metadata.db").list_run_executions(dead.run_id)] == ["FAILED"]
    assert not (root / "artifacts" / "Rows" / "out" / "1").exists()
