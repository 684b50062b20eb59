"""A file is replaced whole or not at all, whatever stops the writer."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.components.files.durable_files import replace_file

HOME = Path(__file__).parents[3]
KILLED = """
import os, signal, sys
from pathlib import Path
from taxiway.components.files import durable_files
call, moment, target = sys.argv[1:]
original = getattr(os, call)
def stop(*arguments):
    if moment == "after":
        original(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, call, stop)
durable_files.replace_file(Path(target), "new")
"""


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("content", ["grün", "grün".encode()])
def test_it_holds_the_new_content_and_leaves_nothing_beside_it(tmp_path, content, sync):
    target = tmp_path / "file.json"
    target.write_text("old")
    replace_file(target, content, sync=sync)
    assert target.read_text(encoding="utf-8") == "grün"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    target = tmp_path / "file.json"
    target.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        replace_file(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("call", "moment", "left"),
    [("write", "before", "old"), ("fsync", "before", "old"), ("rename", "before", "old"), ("rename", "after", "new")],
)
def test_a_kill_leaves_a_whole_file(tmp_path, call, moment, left):
    target = tmp_path / "file.json"
    target.write_text("old")
    ended = subprocess.run([sys.executable, "-c", KILLED, call, moment, str(target)], timeout=60, check=False)
    assert ended.returncode == -9
    assert target.read_text() == left
    replace_file(target, "next")  # what the killed one left is in nobody's way
    assert target.read_text() == "next"


def test_it_is_synced_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "rename"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, original=original: (calls.append(name), original(*a))[1])
    replace_file(tmp_path / "file", "content")
    assert calls == ["fsync", "rename", "fsync"]
    calls.clear()
    replace_file(tmp_path / "file", "content", sync=False)
    assert calls == ["rename"]


RENAMES = {
    "components/files/durable_files.py": "the one way to replace a file",
    "components/example_gen/executor.py": "results under a workspace that may be remote: gfile",
    "components/example_gen/writing.py": "shards of examples on a file system that may be remote: gfile",
    "components/serving/request_log/record_files.py": "a closed log file gets its name; a log is not worth a sync",
    "components/serving/versions/directory.py": "folders: a staged version gets its number, a removed one leaves",
    "components/training/loop/checkpoints.py": "a folder: a written checkpoint gets its name",
    "pipeline/bench/quality/tables.py": "a folder: an unpacked wheel gets its name, whole or not at all",
    "pipeline/maintenance/gc.py": "folders: what is removed leaves in one step",
    "pipeline/serving/row_files.py": "a temporary file of ours gets the ending of its format",
    "pipeline/tracking/artifact_digests.py": "a folder: a damaged artifact is set aside",
    "pipeline/tracking/artifact_files.py": "a downloaded copy, which is not worth a sync: the store has the object",
    "pipeline/tracking/store/store_file.py": "a damaged store and its artifacts are set aside",
}


def test_nobody_else_replaces_files():
    rename = re.compile(r"\.rename\(|os\.replace\(|\.replace\(\w+\)|\.replace\(\w+ / ")
    sources = [path for room in ("components", "pipeline") for path in (HOME / room).rglob("*.py")]
    assert len(sources) > 200
    found = {str(path.relative_to(HOME)) for path in sources if rename.search(path.read_text(encoding="utf-8"))}
    assert found == set(RENAMES)
