"""Which files a path means, and the fingerprint of their content."""

import os
import sys
import zipfile

import pytest

from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import DataConfig
from taxiway.components.tables.sources import files
from taxiway.components.tables.sources.fingerprint import fingerprint_files

ROWS = b"a,y\n1,0\n2,1\n"


def put(path, content=ROWS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def listed(path, **data):
    return [(f.path.rpartition("/")[2], f.span) for f in files.select_source_files(DataConfig(path=str(path), **data))]


@pytest.fixture
def spans(tmp_path):
    for span in (1, 2, 10):
        put(tmp_path / f"day-{span:03d}" / "rows.csv")
    put(tmp_path / "day-x" / "rows.csv")
    return tmp_path / "day-{SPAN}" / "*.csv"


def test_spans(spans):
    def chosen(wanted):
        return [span for _, span in listed(spans, spans=wanted)]

    assert chosen("latest") == [10]
    assert chosen("all") == [1, 2, 10]
    assert chosen(2) == [2]
    assert chosen("2..99") == [2, 10]
    with pytest.raises(DataError, match=r"data\.spans is 3.*\nThere are: 1, 2, 10"):
        chosen(3)


def test_a_span_that_stands_twice_is_one_number(tmp_path):
    put(tmp_path / "7" / "part-7.csv")
    put(tmp_path / "8" / "part-7.csv")
    assert listed(tmp_path / "{SPAN}" / "part-{SPAN}.csv", spans="all") == [("part-7.csv", 7)]


def test_folders_globs_and_odd_names(tmp_path):
    for name in ("b.csv", "sub/a.csv", ".hidden.csv", "_SUCCESS"):
        put(tmp_path / "d" / name)
    assert [name for name, _ in listed(tmp_path / "d")] == ["b.csv", "a.csv"]
    assert [name for name, _ in listed(tmp_path / "d" / "*.csv")] == ["b.csv"]
    odd = put(tmp_path / "[x] ü?.csv")
    assert listed(odd) == [(odd.name, 0)]


def test_a_file_inside_a_package_is_found_without_importing_it(tmp_path, monkeypatch):
    put(tmp_path / "somepackage" / "__init__.py", b"raise SystemExit")
    put(tmp_path / "somepackage" / "data" / "rows.csv")
    monkeypatch.syspath_prepend(tmp_path)
    assert listed("package://somepackage/data/rows.csv") == [("rows.csv", 0)]
    assert "somepackage" not in sys.modules
    with pytest.raises(DataError, match="no installed package 'nowhere'"):
        listed("package://nowhere/x.csv")


def test_archives_with_several_members(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.csv.zip", "w") as archive:
        for name in ("b.csv", "../a.csv", "readme.md"):
            archive.writestr(name, ROWS.decode())
    found = files.select_source_files(DataConfig(path=str(tmp_path / "z.csv.zip")))
    assert [f.member for f in found] == ["../a.csv", "b.csv"]  # nothing is ever unpacked to disk


def digest(path):
    return fingerprint_files(DataConfig(path=str(path))).digest


def test_same_size_and_time_but_other_content(tmp_path):
    path = put(tmp_path / "a.csv")
    before, stat = digest(path), path.stat()
    path.write_bytes(ROWS.replace(b"2", b"3"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size and path.stat().st_mtime_ns == stat.st_mtime_ns
    assert digest(path) != before


def test_touched_moved_and_renamed_is_the_same(tmp_path):
    put(tmp_path / "one" / "a.csv")
    put(tmp_path / "one" / "b.csv", ROWS * 2)
    before = digest(tmp_path / "one")
    os.utime(tmp_path / "one" / "a.csv", (1, 1))
    assert digest(tmp_path / "one") == before
    put(tmp_path / "two" / "b.csv")
    put(tmp_path / "two" / "a.csv", ROWS * 2)
    assert digest(tmp_path / "two") == before
    put(tmp_path / "two" / "c.csv")
    assert digest(tmp_path / "two") != before


def test_a_folder_may_hold_its_configuration_and_the_root(tmp_path):
    for name in ("a.csv", "mine.yaml", "schema.pbtxt", "own.py", "runs/.run.lock", "runs/artifacts/1/more.csv"):
        put(tmp_path / name)
    assert listed(tmp_path) == [("a.csv", 0)]
