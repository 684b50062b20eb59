"""The root's lock lives as long as the last process of the run that took it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taxiway.components.errors import TaxiwayError
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.on_disk.root_lock import hold_lock
from tests.components.processes.test_subprocesses import alive, until

PARENT = """
import sys
from pathlib import Path
from taxiway.components.processes import subprocesses
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.on_disk.root_lock import hold_lock
with hold_lock(Root(Path(sys.argv[1])), wait=False):
    job = {"file": sys.argv[1] + "/child", "go_on": sys.argv[1] + "/go-on"}
    subprocesses.run_module("tests.components.children", job, sys.argv[1] + "/log", timeout_seconds=100)
"""


def is_free(root):
    try:
        with hold_lock(root, wait=False):
            return True
    except TaxiwayError:
        return False


def test_a_killed_run_holds_the_root_until_its_last_child_has_ended(tmp_path):
    root, told = Root(tmp_path), tmp_path / "child"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=Path(__file__).parents[4])
    assert until(lambda: told.exists() and told.read_text().endswith("waits")), (tmp_path / "log").read_text()
    child = int(told.read_text().split()[0])
    assert not is_free(root)
    parent.kill()
    assert parent.wait(timeout=60) == -signal.SIGKILL
    assert until(lambda: told.read_text().endswith("writes on")), "it heard that its parent died"
    for _ in range(20):
        assert alive(child) and not is_free(root), "a run may not begin beside what still writes"
        time.sleep(0.01)
    (tmp_path / "go-on").write_text("")
    assert until(lambda: not alive(child))
    assert until(lambda: is_free(root)), "nobody is left"


def test_the_lock_goes_with_the_block_and_its_descriptor_is_not_passed_on_after_it(tmp_path):
    from taxiway.components.processes import subprocesses

    with hold_lock(Root(tmp_path), wait=False):
        [descriptor] = subprocesses.list_shared_files()
        assert os.fstat(descriptor).st_ino == (tmp_path / ".run.lock").stat().st_ino
        with pytest.raises(TaxiwayError, match="Another run holds"), hold_lock(Root(tmp_path), wait=False):
            pass
    assert is_free(Root(tmp_path))
    assert subprocesses.list_shared_files() == ()


def test_a_descriptor_that_this_process_did_not_inherit_is_not_passed_on(monkeypatch, tmp_path):
    from taxiway.components.processes import subprocesses

    with open(tmp_path / "other", "w") as other:
        monkeypatch.setenv("TAXIWAY_KEPT_OPEN", f"{other.fileno()} 1 1")
        assert subprocesses.list_shared_files() == ()
