"""Names that hold the characters of a pattern stay names."""

import fnmatch
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components import patterns
from components.errors import DataError
from components.example_gen.config import DataConfig
from components.tables import files

ODD = ["a#b", "a?b", "a%20d", "a b", "[red]x", "{SPAN}", "a*b", 'it\'s "so"', "[!x]", "$HOME;`x`", "ü–日", "~x", "[["]
"""Names of folders; each means something in one small language or another."""
NAMES = st.text(st.sampled_from("ab*?[]!{}SPAN-^ .#%\\'"), min_size=1, max_size=12).filter(
    lambda n: n not in (".", "..")
)


@given(NAMES)
@settings(max_examples=300, deadline=None)
def test_a_quoted_name_means_itself(name):
    quoted = patterns.quote(name)
    assert patterns.SPAN_PLACEHOLDER not in quoted
    assert re.fullmatch(patterns.regex(quoted), name, re.DOTALL)
    assert fnmatch.fnmatchcase(name, quoted)
    assert patterns.matches(quoted, name)


@given(NAMES, NAMES)
@settings(max_examples=300, deadline=None)
def test_it_means_no_other_name(name, other):
    assert bool(re.fullmatch(patterns.regex(patterns.quote(name)), other, re.DOTALL)) == (name == other)


@pytest.mark.parametrize("name", ODD)
def test_only_the_users_part_of_a_path_is_a_pattern(tmp_path, name):
    """The configuration's folder may be called anything; the pattern in it is what the user wrote."""
    folder = tmp_path / name / "config"
    (folder / "day-3").mkdir(parents=True)
    (tmp_path / "aXb" / "config" / "day-9").mkdir(parents=True)
    for place in (folder / "day-3", tmp_path / "aXb" / "config" / "day-9"):
        (place / "rows.csv").write_text("a,y\n1,0\n")
    for path, span in (("day-3/rows.csv", 0), ("day-*/*.csv", 0), ("day-{SPAN}/rows.csv", 3), ("day-3", 0)):
        found = files.list_files(DataConfig(path=path).located(folder))
        assert [(f.path, f.span) for f in found] == [(str(folder / "day-3" / "rows.csv"), span)], path
    with pytest.raises(DataError, match=r"none\.csv"):
        files.list_files(DataConfig(path="none.csv").located(folder))


def test_urls_packages_and_homes_are_not_moved():
    for path in ("gs://bucket/rows.csv", "package://tfx/rows.csv", "~/rows.csv", "/data/rows.csv"):
        assert DataConfig(path=path).located("/elsewhere").path == path


@pytest.mark.parametrize("name", ODD)
def test_beam_reads_and_deletes_below_a_name_only(tmp_path, name):
    from apache_beam.io import localfilesystem

    original = localfilesystem.LocalFileSystem.match
    patterns.read_names_first()
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


def test_every_glob_reads_a_quoted_name(tmp_path):
    for name in ODD:
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("")
        assert patterns.find(f"{patterns.quote(tmp_path / name)}/*") == [str(tmp_path / name / "x")]
