"""The first element: what comes back from workers that are well, and what is said of those that are not.

The engine is Beam's own job server (`--job_endpoint=embed`); it asks our pool for workers as Flink does.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway.components.beam import preflight, worker_facts, worker_pool
from taxiway.components.beam.options import BEAM_OPTIONS, NOTHING_TO_STAGE
from taxiway.components.errors import EngineError
from taxiway.environment import ENVIRONMENT

START_SECONDS = 300


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a pool of workers; what it prints is in the file `log`."""
    port = _find_port()
    log = tmp_path_factory.mktemp("pool") / "log"
    command = [sys.executable, "-m", worker_pool.__name__, f"--service_port={port}"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        _wait_for_port(process, port, log)
        yield f"localhost:{port}"
    finally:
        process.terminate()
    assert process.wait(20) == 0, log.read_text()


def _find_port() -> int:
    with socket.create_server(("localhost", 0)) as free:
        return int(free.getsockname()[1])


def _wait_for_port(process: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("localhost", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def _make_options(pool: str, endpoint: str = "embed") -> list[str]:
    runner = ["--runner=PortableRunner", f"--job_endpoint={endpoint}"]
    environment = ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
    return [*BEAM_OPTIONS, *runner, *environment, NOTHING_TO_STAGE]


def test_workers_of_this_environment_are_the_same(pool: str, tmp_path: Path) -> None:
    facts = preflight.check_workers(_make_options(pool), str(tmp_path), 60, ["json"])
    assert facts == worker_facts.collect_facts()
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_workers_do_not_have_is_named(pool: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="No module named 'of_the_user'"):
        preflight.check_workers(_make_options(pool), str(tmp_path), 60, ["of_the_user"])


def test_a_folder_that_workers_cannot_write_is_named(pool: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"NotADirectoryError: .*nowhere"):
        preflight.check_workers(_make_options(pool), f"{tmp_path}/file/nowhere", 60)


def test_no_worker_in_time(tmp_path: Path) -> None:
    """A pool that takes requests and starts nothing: what a crashing worker looks like to an engine."""
    with socket.create_server(("localhost", 0)) as silent:
        options = _make_options(f"localhost:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(EngineError, match=r"No worker \(external: localhost:\d+\) has answered within 2 s"):
            preflight.check_workers(options, str(tmp_path), 2)
    assert time.monotonic() - started < 2 + preflight.CANCEL_SECONDS + 10


def test_nothing_at_the_job_endpoint(tmp_path: Path) -> None:
    address = f"localhost:{_find_port()}"
    with pytest.raises(EngineError, match=f"Nothing answers at the job endpoint {address}"):
        preflight.check_workers(_make_options("localhost:1", address), str(tmp_path), 5)


def test_differences_are_phrases() -> None:
    ours = worker_facts.collect_facts()
    assert set(ours) == {"python", "taxiway's code", *worker_facts.PACKAGES}
    assert "missing" not in ours.values()
    theirs = {**ours, "tfx": "1.2", "python": "2.7"}
    assert worker_facts.compare_facts(ours, theirs) == [
        f"python is 2.7 there, {ours['python']} here",
        f"tfx is 1.2 there, {ours['tfx']} here",
    ]


def test_a_failure_is_said_without_its_stack() -> None:
    text = "Pipeline failed: Error\\n  File x\\nModuleNotFoundError: No module named 'a'\n  at java.lang\nOSError: disk"
    assert "ModuleNotFoundError: No module named 'a'; OSError: disk" in preflight.explain_failure(text).problem
    assert "came to nothing" in preflight.explain_failure("It came to nothing\nat x").problem


def test_a_pool_whose_workers_cannot_import_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ImportError('no TensorFlow on this machine')")
    environment = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", worker_pool.__name__, f"--service_port={_find_port()}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 1
    assert "Workers cannot run Taxiway's steps here" in done.stderr
    assert "no TensorFlow on this machine" in done.stderr
