"""Names that hold the characters of a pattern stay names."""

import fnmatch
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import DataConfig
from taxiway.components.files import patterns
from taxiway.components.tables.sources import files

ODD = ["a#b", "a?b", "a%20d", "a b", "[red]x", "{SPAN}", "a*b", 'it\'s "so"', "[!x]", "$HOME;`x`", "ü–日", "~x", "[["]
"""Names of folders; each means something in one small language or another."""
NAMES = st.text(st.sampled_from("ab*?[]!{}SPAN-^ .#%\\'"), min_size=1, max_size=12).filter(
    lambda n: n not in (".", "..")
)


@given(NAMES)
@settings(max_examples=300, deadline=None)
def test_a_quoted_name_means_itself(name):
    quoted = patterns.quote_name(name)
    assert patterns.SPAN_PLACEHOLDER not in quoted
    assert re.fullmatch(patterns.build_regex(quoted), name, re.DOTALL)
    assert fnmatch.fnmatchcase(name, quoted)
    assert patterns.matches_path(quoted, name)


@given(NAMES, NAMES)
@settings(max_examples=300, deadline=None)
def test_it_means_no_other_name(name, other):
    assert bool(re.fullmatch(patterns.build_regex(patterns.quote_name(name)), other, re.DOTALL)) == (name == other)


@pytest.mark.parametrize("name", ODD)
def test_only_the_users_part_of_a_path_is_a_pattern(tmp_path, name):
    """The configuration's folder may be called anything; the pattern in it is what the user wrote."""
    folder = tmp_path / name / "config"
    (folder / "day-3").mkdir(parents=True)
    (tmp_path / "aXb" / "config" / "day-9").mkdir(parents=True)
    for place in (folder / "day-3", tmp_path / "aXb" / "config" / "day-9"):
        (place / "rows.csv").write_text("a,y\n1,0\n")
    for path, span in (("day-3/rows.csv", 0), ("day-*/*.csv", 0), ("day-{SPAN}/rows.csv", 3), ("day-3", 0)):
        found = files.select_source_files(DataConfig(path=path).resolve_path(folder))
        assert [(f.path, f.span) for f in found] == [(str(folder / "day-3" / "rows.csv"), span)], path
    with pytest.raises(DataError, match=r"none\.csv"):
        files.select_source_files(DataConfig(path="none.csv").resolve_path(folder))


def test_urls_packages_and_homes_are_not_moved():
    for path in ("gs://bucket/rows.csv", "package://tfx/rows.csv", "~/rows.csv", "/data/rows.csv"):
        assert DataConfig(path=path).resolve_path("/elsewhere").path == path


def test_every_glob_reads_a_quoted_name(tmp_path):
    for name in ODD:
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("")
        assert patterns.find_paths(f"{patterns.quote_name(tmp_path / name)}/*") == [str(tmp_path / name / "x")]
