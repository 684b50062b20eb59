"""Beam, once patched, takes the folders of artifacts for names."""

from pathlib import Path

import pytest
from apache_beam.io import localfilesystem

from taxiway.components.errors import TaxiwayError
from taxiway.components.files import beam_private
from taxiway.components.stack_seam import name_lock
from tests.components.files.test_patterns import ODD


@pytest.mark.parametrize("name", ODD)
def test_beam_reads_and_deletes_below_a_name_only(tmp_path, name):
    original = localfilesystem.LocalFileSystem.match
    beam_private.patch_beam_matching()
    try:
        for folder in (tmp_path / name, tmp_path / "aXb"):
            folder.mkdir()
            for file in ("rows-00000-of-00001", ".beam-temp"):
                (folder / file).write_text("x")
        system = localfilesystem.LocalFileSystem(None)
        (tmp_path / name / "beam-temp-x").mkdir()
        for pattern, count in (("*", 2), ("rows-*-of-*", 1), ("", 2), ("none*", 0), ("beam-temp-x", 1), ("none", 0)):
            [found] = system.match([f"{tmp_path / name}/{pattern}"])
            assert {Path(m.path).parent for m in found.metadata_list} <= {tmp_path / name}
            assert len(found.metadata_list) == count, pattern
        system.delete([str(tmp_path / name / "beam-temp-x")])
        assert not (tmp_path / name / "beam-temp-x").exists(), "a folder is deleted by its name"
        assert (tmp_path / "aXb" / "rows-00000-of-00001").exists()
    finally:
        localfilesystem.LocalFileSystem.match = original


def test_a_beam_without_the_patched_part_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.delattr(localfilesystem.LocalFileSystem, "match")
    monkeypatch.delattr(localfilesystem.FileSystem, "match")
    with pytest.raises(TaxiwayError, match="no local file system that matches patterns") as raised:
        beam_private.patch_beam_matching()
    assert name_lock() in raised.value.remedy
