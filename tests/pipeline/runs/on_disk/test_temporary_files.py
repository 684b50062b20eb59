"""Temporary files of a run lie under its root and go with it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.on_disk import temporary_files


def test_this_process_and_its_children_write_below_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    root, before = Root(tmp_path / "root"), tempfile.tempdir
    left = root.temporary / "killed" / "__autograph_generated_file1.py"
    left.parent.mkdir(parents=True)
    left.write_text("")
    with temporary_files.use_temporary_folder(root, "run-1") as folder:
        assert not left.exists(), "what a killed run left goes with the next one"
        descriptor, own = tempfile.mkstemp()
        os.close(descriptor)
        code = "import tempfile; print(tempfile.mkdtemp())"
        childs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        assert Path(own).parent == folder == Path(childs).parent
        assert temporary_files.list_left_overs(root) == [folder]
    assert not root.temporary.exists()
    assert (os.environ["TMPDIR"], tempfile.tempdir) == (str(tmp_path / "elsewhere"), before)
