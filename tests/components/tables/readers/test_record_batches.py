"""Rows as they are written: lines that are no rows, null words, folders, JSON arrays. No tfx, no TensorFlow."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxiway.components.errors import DataError
from taxiway.components.tables.config import CsvConfig, TableConfig
from taxiway.components.tables.readers import json_rows
from taxiway.components.tables.readers.bad_rows import BadRows, check_bad_share
from taxiway.components.tables.readers.record_batches import read_column_names, read_record_batches
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.sources.remote_addresses import check_address


def rows(path, columns=None, **data):
    config = TableConfig(path=str(path), **data)
    bad = BadRows()
    found = [
        r
        for f in select_source_files(config)
        for b in read_record_batches(f, config, columns, bad)
        for r in b.to_pylist()
    ]
    return [{n: v.decode() if isinstance(v, bytes) else v for n, v in row.items()} for row in found], bad


@pytest.mark.parametrize(
    ("text", "csv"),
    [
        ("a,b\n1,x\n2,y\n", {}),
        ("\n \n\na,b\n1,x\n2,y\n", {}),
        ("# title\nof it\n\na,b\n1,x\n2,y\n", {"skip_lines": 2}),
        ("# title\r\na,b\r\nkg,\r\n1,x\r\n2,y\r\n", {"skip_lines": 1, "skip_after_header": 1}),
        ("a,b\n1,x\nTotal,7\n2,y\n Sum ,7\n", {"footer": ["Total", "Sum"]}),
        ("a, b\n1, x\n 2 , y \n", {"trim": True}),
        ("title\n1,x\n2,y\n", {"skip_lines": 1, "header": False, "names": ["a", "b"]}),
    ],
)
def test_lines_that_are_no_rows(text, csv, tmp_path):
    (tmp_path / "t.csv").write_bytes(text.encode())
    found, bad = rows(tmp_path / "t.csv", csv=CsvConfig(**csv))
    assert found == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}] and not bad.count
    only, _ = rows(tmp_path / "t.csv", ("b",), csv=CsvConfig(**csv))
    assert only == [{"b": "x"}, {"b": "y"}]


def test_footers_are_counted(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\nTotal,7\n2,y\n Sum ,7\n")
    for columns in (None, ("b",)):
        _, bad = rows(tmp_path / "t.csv", columns, csv=CsvConfig(footer=("Total", "Sum")))
        assert (bad.count, bad.footers) == (0, 2)
    assert BadRows.merge_parts([bad, BadRows.from_json(bad.to_json())]).footers == 4


@pytest.mark.parametrize(("row", "hint"), [("1,x,", "have 3 cells where the header names 2 columns"), ("1", "")])
def test_a_file_of_bad_rows_is_refused_with_what_they_have_in_common(row, hint, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + f"{row}\n" * 9)
    _, bad = rows(tmp_path / "t.csv")
    with pytest.raises(DataError, match="9 rows cannot be read; no other row is there") as caught:
        check_bad_share(bad, 0, 0.02)
    assert hint in caught.value.remedy and "a table may have 2% of such rows" in caught.value.remedy
    check_bad_share(bad, 450, 0.02)
    with pytest.raises(DataError):
        check_bad_share(bad, 449, 0.02)


def test_bad_rows_are_numbered_from_the_first_row_of_data(tmp_path):
    (tmp_path / "t.csv").write_text("title\n\na,b\nkg,\n1,x\n2\n")
    _, bad = rows(tmp_path / "t.csv", csv=CsvConfig(skip_lines=1, skip_after_header=1))
    assert bad.count == 1 and bad.samples[0].row == 2


def test_null_words_of_single_columns_in_every_format(tmp_path):
    table = {"country": ["NA", "NL", ""], "amount": ["?", "NA", "1"]}
    text = "country,amount\n" + "".join(f"{c},{a}\n" for c, a in zip(*table.values(), strict=True))
    (tmp_path / "t.csv").write_text(text)
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    (tmp_path / "t.json").write_text(
        json.dumps([dict(zip(table, r, strict=True)) for r in zip(*table.values(), strict=True)])
    )
    words = {"country": [""], "amount": ["?", "NA"]}
    expected = [{"country": "NA", "amount": None}, {"country": "NL", "amount": None}, {"country": None, "amount": "1"}]
    for name in ("t.csv", "t.parquet", "t.json"):
        assert rows(tmp_path / name, null_values=words)[0] == expected
    assert rows(tmp_path / "t.csv")[0][0] == {"country": None, "amount": "?"}  # pandas' words, in csv


def test_folders_give_columns(tmp_path):
    for year, kind in (("2024", "a"), ("2025", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "t" / f"year={year}" / f"my%20kind={kind}"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_text("x\n1\n")
        (folder / "_SUCCESS").write_text("")
        (folder / ".part.csv.crc").write_text("x")
    found, _ = rows(tmp_path / "t")
    assert found == [{"x": "1", "year": "2024", "my kind": "a"}, {"x": "1", "year": "2025", "my kind": None}]
    assert rows(tmp_path / "t" / "*" / "*" / "*")[0] == found
    assert rows(tmp_path / "t", ("year",))[0] == [{"year": "2024"}, {"year": "2025"}]
    assert "year" not in rows(tmp_path / "t", leave_out=["year"])[0][0]
    spans = TableConfig(path=str(tmp_path / "t" / "year={SPAN}"))
    assert read_column_names(select_source_files(spans)[0], spans) == ["x", "my kind"], "a span's number is no column"


JSON_ROWS = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.text(max_size=8) | st.integers(-9, 9) | st.none(), min_size=1),
    min_size=1,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=JSON_ROWS, indent=st.sampled_from([None, 2]), block=st.integers(8, 40), mark=st.booleans())
def test_a_json_array_is_its_lines(found, indent, block, mark, monkeypatch):
    import io

    text = json.dumps(found, indent=indent, ensure_ascii=False)
    monkeypatch.setattr(json_rows, "_BLOCK_BYTES", block)
    stream = io.BytesIO((b"\xef\xbb\xbf" if mark else b"") + b" \n" + text.encode())
    bad = BadRows()
    assert list(json_rows.read_json_rows(stream, "f", bad)) == found and not bad.count


def test_json_arrays_that_are_damaged(tmp_path):
    (tmp_path / "t.json").write_text('[{"a": 1}, 7, {"a": 2}]')
    found, bad = rows(tmp_path / "t.json")
    assert found == [{"a": 1}, {"a": 2}] and bad.count == 1
    (tmp_path / "u.json").write_text('[{"a": 1}, {"a": ')
    with pytest.raises(DataError, match="cannot be read after its element 1"):
        rows(tmp_path / "u.json")


@pytest.mark.parametrize(
    ("name", "form"),
    [("adult.data", "csv"), ("a.dat", "csv"), ("a", "csv"),
     ("rows", "jsonl"), ("list", "jsonl"), ("df.gzip", "parquet"),
     ("a.csv.gzip", "csv")],
)  # fmt: skip
def test_names_without_a_known_ending_are_read_by_their_content(name, form, tmp_path):
    path = tmp_path / name
    if form == "parquet":
        pq.write_table(pa.table({"a": ["1"]}), path)
    else:
        text = {"rows": '{"a": "1"}\n', "list": '[{"a": "1"}]'}.get(name, "a\n1\n").encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gzip") else text)
    assert select_source_files(TableConfig(path=str(path)))[0].format == form
    assert rows(path)[0] == [{"a": "1"}]


def test_a_readme_is_no_table(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "README").write_text("hello\n")
    with pytest.raises(DataError, match="README: the name does not say"):
        select_source_files(TableConfig(path=str(tmp_path)))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://bob:secret@host/d/data.csv?key=secret",
         r"https://\*\*\*@host/d/data\.csv\?key=\*\*\* is a web(.|\n)*curl -fL -o data\.csv 'https"),
        ("https://host/d/data.csv?sheet=2&x=1", r"curl -fL -o data\.csv 'https://host/d/data\.csv\?sheet=2&x=1'"),
        ("ftp://bob:secret@host/x", "web address"),
        ("abfs://bob:secret@host/x", "no file system here opens abfs"),
    ],
)  # fmt: skip
def test_addresses_that_are_not_read(address, words):
    with pytest.raises(DataError, match=words) as caught:
        check_address(address)  # as `init` does, before the configuration refuses passwords
    assert "secret" not in str(caught.value)


def test_files_are_not_looked_for_at_an_address_that_is_not_read():
    with pytest.raises(DataError, match="is a web address"):
        select_source_files(TableConfig(path="https://host/d/data.csv"))
