"""Every format gives the same examples, whatever the names of the columns."""

import gzip
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxiway.components.errors import DataError
from taxiway.components.example_gen import writing
from taxiway.components.tables.examples.shards import list_shards
from tests.components.example_gen.rows import TABLE, csv_text, make, read_all, write

EXPECTED = sorted(
    ({name: values[i] for name, values in sorted(TABLE.items())} for i in range(len(TABLE["y"]))),
    key=str,
)
NAMES = [
    "t.csv", "t.csv.gz", "t.csv.zip", "t.jsonl", "t.jsonl.gz", "t.parquet", "t.tfrecord", "t.tfrecord.gz",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_same_examples_from_every_format(name, tmp_path):
    path = write(tmp_path / "in" / name)
    done = make(path, tmp_path / "out")
    assert read_all(tmp_path / "out") == EXPECTED
    assert done.rows["read"] == 4 and done.rows["train"] + done.rows["eval"] == 4
    assert done.classes == ("0", "1")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_the_same_split_from_every_format_and_order(name, tmp_path):
    table = {"x": list(range(400)), "s": [f"v{i % 7}" for i in range(400)], "y": [i % 2 for i in range(400)]}
    halves = [{k: v[:150] for k, v in table.items()}, {k: v[150:] for k, v in table.items()}]
    make(write(tmp_path / "whole.csv", table), tmp_path / "one")
    write(tmp_path / "two" / f"b{name}", halves[0])
    write(tmp_path / "two" / f"a{name}", {k: halves[1][k] for k in ("y", "s", "x")})
    make(tmp_path / "two", tmp_path / "other")
    from tests.components.example_gen.rows import read_split

    for split in ("train", "eval"):
        one, other = read_split(tmp_path / "one", split), read_split(tmp_path / "other", split)
        assert sorted(one, key=str) == sorted(other, key=str)
    assert 40 <= len(read_split(tmp_path / "one", "eval")) <= 120  # 80 expected of 400


def test_int_in_one_file_and_float_in_another_is_float(tmp_path):
    write(tmp_path / "d" / "a.csv", {"x": [1, 2], "y": [0, 1]})
    write(tmp_path / "d" / "b.csv", {"x": [1.5, None], "y": [0, 1]})
    done = make(tmp_path / "d", tmp_path / "out")
    assert done.columns == {"x": "float", "y": "int"}
    assert {r["x"] for r in read_all(tmp_path / "out")} == {1.0, 2.0, 1.5, None}


def test_byte_order_mark_tabs_and_latin_1(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"\xef\xbb\xbf" + csv_text({"x": [1, 2], "y": [0, 1]}, "\t").encode())
    assert make(tmp_path / "a.tsv", tmp_path / "a").columns == {"x": "int", "y": "int"}
    (tmp_path / "b.csv").write_bytes(csv_text({"größe": ["ä", "ö"], "y": [0, 1]}).encode("latin-1"))
    make(tmp_path / "b.csv", tmp_path / "b", csv={"encoding": "latin-1"})
    assert [r["größe"] for r in read_all(tmp_path / "b")] == ["ä", "ö"]


def test_no_header_quoted_newlines_and_spaces(tmp_path):
    (tmp_path / "a.csv").write_text('1, 2.5,"two\nlines",0\n3, 4,x,1\n')
    done = make(tmp_path / "a.csv", tmp_path / "o", csv={"header": False, "names": ["a", "b", "c", "y"]})
    assert done.columns == {"a": "int", "b": "float", "c": "string", "y": "int"}
    assert {r["c"] for r in read_all(tmp_path / "o")} == {"two\nlines", "x"}


def test_typed_parquet_columns(tmp_path):
    import datetime
    from decimal import Decimal

    table = pa.table(
        {
            "when": pa.array([datetime.datetime(2020, 1, 1), datetime.datetime(2020, 2, 3, 4)], pa.timestamp("ns")),
            "day": pa.array([datetime.date(1970, 1, 2), None]),
            "price": pa.array([Decimal("1.25"), Decimal("2.50")]),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
            "flag": [True, None],
            "y": [False, True],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    done = make(tmp_path / "t.parquet", tmp_path / "o", calendar={"when": ["month", "weekday", "hour"]})
    assert done.classes == ("false", "true")
    first = next(r for r in read_all(tmp_path / "o") if r["y"] == 0)
    assert first == {
        "when": 1577836800, "when_month": 1, "when_weekday": 2, "when_hour": 0,
        "day": 86400, "price": 1.25, "kind": "a", "flag": 1, "y": 0,
    }  # fmt: skip


def test_lists_are_refused_and_may_be_left_out(tmp_path):
    pq.write_table(pa.table({"tags": [["a"], ["b"]], "y": [0, 1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet: column 'tags' is of type list"):
        make(tmp_path / "t.parquet", tmp_path / "o")
    assert make(tmp_path / "t.parquet", tmp_path / "o", leave_out=["tags"]).columns == {"y": "int"}


def test_dates_as_text(tmp_path):
    write(tmp_path / "t.csv", {"d": ["31.12.2020", "1.1.2021"], "iso": ["2021-01-01T10:00:00Z", None], "y": [0, 1]})
    make(tmp_path / "t.csv", tmp_path / "o", types={"d": "time:%d.%m.%Y", "iso": "time"})
    assert {(r["d"], r["iso"]) for r in read_all(tmp_path / "o")} == {(1609372800, 1609495200), (1609459200, None)}


def test_mixed_json_types_become_text(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"x": 1, "y": 0}\n{"x": "a", "y": 1}\n{"x": true, "y": 1}\n\n')
    make(tmp_path / "t.jsonl", tmp_path / "o")
    assert {r["x"] for r in read_all(tmp_path / "o")} == {"1", "a", "true"}


def test_large_data_is_sharded(tmp_path):
    table = {"x": [f"v{i:0120d}" for i in range(30_000)], "y": [i % 2 for i in range(30_000)]}
    make(write(tmp_path / "t.csv", table), tmp_path / "o", shard_mib=1)
    files = sorted((tmp_path / "o" / "Split-train").iterdir())
    assert len(files) >= 2
    assert len(read_all(tmp_path / "o")) == 30_000
    assert all(gzip.decompress(f.read_bytes()) for f in files)


def test_whole_numbers_beyond_int64_stay_text(tmp_path):
    table = {"x": ["12345678901234567890", "12345678901234567891"], "y": [0, 1]}
    assert make(write(tmp_path / "t.csv", table), tmp_path / "o").columns["x"] == "string"


def test_no_warnings(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(write(tmp_path / "t.csv"), tmp_path / "o")


def test_files_hold_a_sixteenth_of_many_rows(tmp_path, monkeypatch):
    """Cores and workers share files; where each is and what it holds is recorded."""
    assert [writing.choose_shard_rows(rows) for rows in (10, 400_000, 1_600_000, 10**8)] == [
        25_000, 25_000, 100_000, 250_000,
    ]  # fmt: skip
    monkeypatch.setattr(writing, "_FEWEST_SHARD_ROWS", 50)
    monkeypatch.setattr(writing, "_ENCODE_ROWS", 10)
    result = make(write(tmp_path / "t.csv", {name: values * 400 for name, values in TABLE.items()}), tmp_path / "o")
    shards = list_shards(str(tmp_path / "o"), "train")
    assert {Path(s.records).name: pq.read_metadata(s.columns).num_rows for s in shards} == result.shards["train"]
    assert len(shards) >= 10 and sum(result.shards["train"].values()) == result.rows["train"]
