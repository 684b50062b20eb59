"""Runs from Python around the sample pipeline."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import taxiway
from taxiway.pipeline.config import DEFAULT_CONFIG


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def test_a_run_comes_back_as_objects(root, sample_dag, capfd):
    run = taxiway.run(root=root)
    assert (run.state, run.reason, run.version, run.version_path) == ("done", "", None, None)
    assert list(run.nodes) == ["Rows", "Gate", "Work", "Last"]
    assert run.nodes["Rows"].state == "done"
    assert run.gates["Gate"].numbers == {"rows": {"eval": 3}}
    rows = run.find_artifact("Rows", "out")
    assert (rows.type, rows.state) == ("String", "LIVE")
    assert rows.path.read_text() == "row row row "
    assert {artifact.node for artifact in run.artifacts} == {"Rows", "Gate", "Work", "Last"}
    assert run.report.is_file()
    assert "half way" in Path(run.root.run_folder(run.id), "progress.jsonl").read_text()
    assert [node.name for node in run.open_lineage().where(kind="execution")] == ["Rows", "Gate", "Work", "Last"]
    printed = capfd.readouterr()
    assert "✓ Rows" in printed.out
    assert "noise" not in printed.out + printed.err


def test_quiet_prints_nothing(root, sample_dag, capfd):
    run = taxiway.run(root=root, quiet=True)
    assert capfd.readouterr() == ("", "")
    assert "noise on standard output" in run.log.read_text()


def test_a_run_is_read_again(root, sample_dag):
    first, second = (taxiway.run(root=root, quiet=True) for _ in range(2))
    assert taxiway.Run.open(root) == second
    assert taxiway.Run.open(root, first.id) == first
    assert taxiway.Run.list_all(root) == [second, first]


def test_a_gate_that_blocks_is_no_error(root, sample_dag):
    sample_dag["passed"] = 0
    run = taxiway.run(root=root, quiet=True)
    assert run.state == "blocked"
    assert run.reason == "Gate: the split 'eval' holds 3 rows"
    assert not run.gates["Gate"].passed
    with pytest.raises(taxiway.UsageError, match=r"has no artifact Last.out"):
        run.find_artifact("Last", "out")
    with pytest.raises(taxiway.UsageError, match="has no metrics of the slice 'overall'"):
        run.find_metrics()


@pytest.mark.parametrize(("fail", "code", "words"), [("usage", 2, "has no column 'x'"), ("bug", 1, "divisor was zero")])
def test_a_node_that_fails_raises_with_the_run(root, sample_dag, fail, code, words):
    sample_dag["fail"] = fail
    with pytest.raises(taxiway.RunFailedError, match=words) as raised:
        taxiway.run(root=root, quiet=True)
    assert isinstance(raised.value, taxiway.TaxiwayError)
    assert raised.value.exit_code == code
    assert raised.value.run.nodes["Rows"].state == "failed"


def test_what_is_wrong_at_once_begins_no_run(root, sample_dag):
    with pytest.raises(taxiway.ConfigError, match=r"unknown key 'training.epoch'"):
        taxiway.run(root=root, overrides=["training.epoch=1"])
    with pytest.raises(taxiway.UsageError, match="beside a configuration made in Python"):
        taxiway.run(taxiway.load(), root, overrides=["training.epochs=1"])
    assert not root.exists() or taxiway.Run.list_all(root) == []


def test_a_configuration_made_in_python(root, sample_dag):
    config = taxiway.load().model_copy(update={"training": taxiway.TrainingConfig(epochs=7)})
    run = taxiway.run(config, root, quiet=True)
    assert "epochs: 7" in Path(root, "runs", run.id, "config.yaml").read_text()
    assert run.record.command == ("run", str(DEFAULT_CONFIG.resolve()), "--root", str(root))


def test_from_a_thread_that_is_not_the_main_one(root, sample_dag):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(taxiway.run(root=root, quiet=True)))
    thread.start()
    thread.join()
    assert runs[0].state == "done"


def test_an_interruption_leaves_the_caller_alive(root, sample_dag):
    """The command ends its process; a caller of ours, and what it has started, live on."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    sample_dag["fail"] = "slow"
    timer = threading.Thread(target=_interrupt_when_running, args=(root,))
    timer.start()
    with pytest.raises(KeyboardInterrupt, match="interrupted in Rows"):
        taxiway.run(root=root, quiet=True)
    timer.join()
    assert other.poll() is None
    other.kill()
    other.wait()
    assert taxiway.Run.open(root).state == "interrupted"
    sample_dag["fail"] = ""
    assert taxiway.run(root=root, quiet=True, wait=False).state == "done", "the lock is free"


def _interrupt_when_running(root):
    for _ in range(400):
        time.sleep(0.1)
        if list(root.glob("runs/*/progress.jsonl")):
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)
            return
