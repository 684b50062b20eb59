"""Rows for predictions from files of every kind, and what is said of those that are none."""

import gzip
import io
import json

import pyarrow
import pytest
from pyarrow import parquet

from components.errors import DataError
from pipeline import rows, served

ROWS = [{"fare": "12.5", "company": "Ünal, Inc."}, {"fare": "3"}]


def csv_text(delimiter=","):
    return delimiter.join(["fare", "company"]) + f'\n12.5{delimiter}"Ünal, Inc."\n3{delimiter}\n'


def test_csv_and_tsv(tmp_path):
    for name, delimiter in (("a.csv", ","), ("a.tsv", "\t")):
        (tmp_path / name).write_text("\ufeff" + csv_text(delimiter), encoding="utf-8")
        assert rows.read(tmp_path / name) == ROWS


def test_gzip(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(csv_text().encode()))
    assert rows.read(tmp_path / "a.csv.gz") == ROWS


def test_json_lines(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    assert rows.read(tmp_path / "a.jsonl") == ROWS


def test_parquet(tmp_path):
    table = pyarrow.table({"fare": [12.5, None], "company": ["x", "y"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert rows.read(tmp_path / "a.parquet") == [{"fare": 12.5, "company": "x"}, {"company": "y"}]


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"fare": 1}\n{"fare": 2}\n'))
    assert served.read_rows(None, 1) == [{"fare": 1}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{}\n{broken\n", "line 2 is no JSON"),
        ("a.jsonl", b"[1]\n", "line 1 is no JSON object"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has more cells"),
        ("a.csv", b"a\n\xff\xfe\n", "cannot be read"),
        ("a.csv", b"a\n\x00\n", "cannot be read"),
        ("a.csv.gz", b"no gzip", "cannot be read"),
        ("a.parquet", b"no parquet", "cannot be read"),
        ("a.xlsx", b"", "of no known kind"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        rows.read(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        rows.read(tmp_path / "a.csv")
