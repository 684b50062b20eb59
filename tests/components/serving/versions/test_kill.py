"""SIGKILL at every step of a push: the directory is as before or holds a whole new version, and the next push works.

The killed processes are forks of one that has imported neither TensorFlow nor TFX. Each stops itself just before or
just after the n-th call by which a push touches the disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway.components.saved_models import manifest, model_versions
from taxiway.components.serving.versions.directory import ServingDirectory
from tests.components.serving.conftest import fake_model

_KILLER = """
import json, os, shutil, signal, sys
from pathlib import Path
from taxiway.components.saved_models import model_versions as servables
from taxiway.components.saved_models import manifest
from taxiway.components.serving.versions.directory import ServingDirectory

CALLS = ("open", "write", "fsync", "close", "mkdir", "rename", "unlink", "rmdir")
base, old, new, what = sys.argv[1:5]
assert not {"tensorflow", "tfx", "numpy"} & set(sys.modules)

def prepare(folder):
    directory = ServingDirectory(folder, clock=lambda: 100.0)
    directory.push(old, {"run_id": "old"})
    if what == "rollback":
        directory.push(new, {"run_id": "new"})
    return directory

def change(directory):
    if what == "rollback":
        directory.rollback(reason="bad")
    else:
        directory.push(new, {"run_id": "new"})
        directory.retain_newest(1)

def arm(stop_at):
    count = 0
    def wrap(function):
        def wrapped(*args, **kwargs):
            nonlocal count
            count += 1
            if count == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            count += 1
            if count == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return wrapped
    for name in CALLS:
        setattr(os, name, wrap(getattr(os, name)))

points, names, ended = 0, [], False
while not ended:
    points += 1
    folder = Path(base, str(points))
    directory = prepare(folder)
    before = set(servables.list_version_folders(folder))
    child = os.fork()
    if child == 0:
        arm(points)
        change(directory)
        os._exit(0)
    ended = os.waitpid(child, 0)[1] == 0
    versions = servables.list_version_folders(folder)
    for number, path in versions.items():  # whole, every byte of them
        assert manifest.find_differences(path, manifest.read_manifest(path)) == [], (points, number)
        manifest.digest_folder(path)
    assert versions, points
    assert ended or max(versions) >= max(before), points
    names.append(sorted(versions))
    after = ServingDirectory(folder, clock=lambda: 100.0, lock_timeout_seconds=5)
    if what == "rollback":
        if after.find_live().digest != manifest.digest_folder(old):
            after.rollback()
        assert not after.push(new, {}).pushed, points  # quarantined
    else:
        after.push(new, {"run_id": "again"})
    live = after.find_live()
    assert live.digest == manifest.digest_folder(old if what == "rollback" else new), points
    left = [p.name for p in (folder / ".taxiway").iterdir() if p.name in ("staging", "trash")]
    assert not left, (points, left)
    shutil.rmtree(folder)
print(json.dumps({"points": points, "outcomes": sorted({str(n) for n in names})}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that is possible: what a killed process had written stays, synced or not."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="taxiway-kill-") as made:
        yield Path(made)


def _kill_everywhere(folder: Path, what: str) -> dict[str, object]:
    old, new = fake_model(folder / "old", b"old"), fake_model(folder / "new", b"new")
    argv = [sys.executable, "-c", _KILLER, str(folder / "serving"), str(old), str(new), what]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def test_a_push_killed_anywhere(folder: Path) -> None:
    result = _kill_everywhere(folder, "push")
    assert result["points"] >= 50
    # Only the old version; both; only the new one, when retention was killed after its rename.
    assert result["outcomes"] == ["[100, 101]", "[100]", "[101]"]


def test_a_rollback_killed_anywhere(folder: Path) -> None:
    result = _kill_everywhere(folder, "rollback")
    assert result["points"] >= 50
    assert result["outcomes"] == ["[100, 101, 102]", "[100, 101]"]


def test_a_killed_push_frees_its_lock(tmp_path: Path, model: Path) -> None:
    """The lock ends with its process, so that nobody has to remove a file."""
    code = (
        "import os, signal, sys\nfrom taxiway.components.serving.versions.directory import ServingDirectory\n"
        "with ServingDirectory(sys.argv[1]).hold_lock():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s")], timeout=60, check=False)
    assert ended.returncode == -9
    result = ServingDirectory(tmp_path / "s", lock_timeout_seconds=1).push(model, {})
    assert result.pushed and model_versions.find_live_version(tmp_path / "s") == (result.version, result.path)
    assert manifest.read_manifest(result.path) is not None
