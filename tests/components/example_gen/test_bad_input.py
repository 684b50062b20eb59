"""Bad data ends in an error that names the file, the column or the key; no other exception escapes."""

import gzip
import io
import json
import os
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from taxiway.components.errors import ConfigError, DataError, TaxiwayError, UsageError
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import INGEST_FILE, ingest_data
from tests.components.example_gen.rows import make, read_all, write

GOOD = {"x": [1, 2, 3, 4], "y": [0, 1, 0, 1]}


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", "x,y\n" + "1,0\n" * 4000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "t.csv is empty"),
        ("t.csv", b"\n\n", "t.csv is empty"),
        ("t.csv", b"x,y\n", "t.csv: there are no rows"),
        ("t.csv", b"x,y\n1,2,3\n4\n5,0\n", "2 rows cannot be read.*allows 0.*row 1: 3 cells, 2 columns"),
        ("t.csv", b"x,x,y\n1,2,0\n", "two columns have the name 'x'"),
        ("t.csv", b"x;y\n1;0\n2;1\n", "one column, 'x;y'.*delimiter, to ';'"),
        ("t.csv", b"x,z\n1,0\n", "label.column is 'y'"),
        ("t.csv", b"x,y\n1,0\n2,0\n", "label column 'y' holds only one class, '0'"),
        ("t.csv", b"x,y\n,0\n,1\n", "column 'x' holds no value in any row.*data.leave_out"),
        ("t.csv", b"x,y\n1,\n2,\n", "column 'y' holds no value"),
        ("t.csv", b"x,y\nab\0c,0\nd,1\n", "column 'x' is no UTF-8 text or holds NUL"),
        ("t.csv", b"x,y\n\xff\xfe,0\nd,1\n", "column 'x' is no UTF-8 text"),
        ("t.csv", "x,y\n1,0\n".encode("utf-16"), "not text in utf-8.*data.csv.encoding"),
        (
            "t.csv",
            b'x,y\n"1,0\n' + b"2,1\n" * 2000,
            "2,001 rows cannot be .* in 2001 lines: a quote that is not closed",
        ),
        ("t.csv", b"x,y\n" + b"a" * (9 << 20) + b",0\n", "t.csv cannot be read as csv.*row longer than 4 MiB"),
        ("t.csv.gz", b"x,y\n1,0\n", "named .gz but is not a gzip file"),
        ("t.csv.gz", gzip.compress(os.urandom(9000))[:-900], "t.csv.gz"),
        ("t.csv.zip", zipped()[:-40], "t.csv.zip is not a readable zip"),
        ("t.csv.zip", b"PK\x05\x06" + b"\0" * 18, "holds no files"),
        ("t.parquet", b"PAR1 no parquet", "t.parquet cannot be read as parquet"),
        ("t.jsonl", b'{"x": 1, "y": 0}\n{"x": 2,\n[1]\n', "2 rows cannot be read.*row 2: no JSON"),
        ("t.tfrecord", b"x,y\n1,0\n" * 10, "t.tfrecord is damaged"),
        ("t.bin", b"\1\0\2\3" * 9, "neither its name nor its content says which format"),
        ("t.csv", b"\xd0\xcf\x11\xe0" + b"\0" * 99, "an old Excel workbook.*Save its sheet as csv"),
        ("t.csv", b"<!DOCTYPE html><html>403</html>", "is an HTML page"),
        ("t.json", b'{"data": [{"x": 1}, {"x": 2}]}', "one JSON object whose value 'data' is an array"),
        ("t.json", b'{\n "x": 1\n}', "one JSON object written over several lines"),
        ("t.json", b'{"x": [1, 2], "y": [0, 1]}', "one JSON object of columns"),
        ("t.json", b'[{"x": 1, "y": 0}, {"x": 2,', "cannot be read after its element 1"),
    ],
)
def test_bad_files(name, content, words, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        make(path, tmp_path / "o")
    import re

    assert re.search(words, str(caught.value).replace("\n", " ")), caught.value
    assert caught.value.exit_code == 2 and caught.value.remedy


def test_missing_file_offers_the_near_one(tmp_path):
    write(tmp_path / "trips.csv", GOOD)
    with pytest.raises(DataError, match=r"no such file(.|\n)*'trips\.csv'"):
        make(tmp_path / "trip.csv", tmp_path / "o")


def test_truncated_tfrecord_and_foreign_records(tmp_path):
    import tensorflow as tf

    path = write(tmp_path / "t.tfrecord", GOOD)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"t\.tfrecord is damaged"):
        make(path, tmp_path / "o")
    with tf.io.TFRecordWriter(str(tmp_path / "f.tfrecord")) as out:
        out.write(b"no example")
    with pytest.raises(DataError, match=r"no tf\.Example"):
        make(tmp_path / "f.tfrecord", tmp_path / "o")


def test_several_values_in_one_feature(tmp_path):
    import tensorflow as tf

    feature = {"x": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2]))}
    with tf.io.TFRecordWriter(str(tmp_path / "t.tfrecord")) as out:
        out.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    with pytest.raises(DataError, match="'x' holds 2 values in one example"):
        make(tmp_path / "t.tfrecord", tmp_path / "o")


def test_bad_rows_within_the_limit_are_counted_and_sampled(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"x,y\n1,0\nonly one cell\n2,1\n3,1\n\xff,1\n")
    done = make(tmp_path / "t.csv", tmp_path / "o", max_bad_rows=2, types={"x": "int"})
    assert done.rows == {"read": 5, "bad": 2, "without_label": 0, "left_out": 0, **_splits(done)}
    assert len(read_all(tmp_path / "o")) == 3
    sampled = (tmp_path / "o" / "bad_rows.jsonl").read_text()
    assert "only one cell" in sampled and "column 'x' is no int" in sampled
    assert json.loads((tmp_path / "o" / INGEST_FILE).read_text("utf-8"))["rows"]["bad"] == 2


def _splits(done):
    return {split: done.rows[split] for split in ("train", "eval")}


def test_rows_without_label_are_left_out_and_counted(tmp_path):
    write(tmp_path / "t.csv", {"x": [1, 2, 3], "y": [0, None, 1]})
    done = make(tmp_path / "t.csv", tmp_path / "o")
    assert done.rows["without_label"] == 1 and len(read_all(tmp_path / "o")) == 2
    with pytest.raises(DataError, match="1 rows have no label"):
        make(tmp_path / "t.csv", tmp_path / "p", LabelConfig(column="y", missing="refuse"))


def test_files_that_do_not_belong_together(tmp_path):
    write(tmp_path / "d" / "a.csv", GOOD)
    write(tmp_path / "d" / "b.csv", {"x": [1], "z": [1], "y": [0]})
    with pytest.raises(DataError, match=r"a\.csv has no column 'z', but .*b\.csv has"):
        make(tmp_path / "d", tmp_path / "o")
    write(tmp_path / "d" / "b.jsonl", GOOD)
    with pytest.raises(DataError, match="several formats"):
        make(tmp_path / "d", tmp_path / "o")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"types": {"z": "int"}}, "data.types names 'z'"),
        ({"split": {"by": "time", "column": "t"}}, "data.split.column names 't'"),
        ({"calendar": {"x": ["hour"]}}, "'x', which is of kind int, not time"),
        ({"csv": {"names": ["a"]}}, "1 names, the first row 2 cells"),
    ],
)
def test_keys_that_name_nothing(data, words, tmp_path):
    write(tmp_path / "t.csv", GOOD)
    with pytest.raises(UsageError, match=words):
        make(tmp_path / "t.csv", tmp_path / "o", **data)


def test_text_label_of_a_regression(tmp_path):
    write(tmp_path / "t.csv", {"x": [1, 2], "y": ["a", "b"]})
    with pytest.raises(DataError, match="'y' holds text such as 'a'"):
        make(tmp_path / "t.csv", tmp_path / "o", LabelConfig(column="y", task="regression"))


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "o").write_text("a file")
    with pytest.raises(TaxiwayError, match="cannot be written to"):
        make(write(tmp_path / "t.csv", GOOD), tmp_path / "o")


def test_one_row_and_one_split(tmp_path):
    write(tmp_path / "t.csv", {"x": [1], "y": [1]})
    done = make(tmp_path / "t.csv", tmp_path / "o", LabelConfig(column="y", classes=["0", "1"]))
    assert done.rows["train"] + done.rows["eval"] == 1
    assert all(any((tmp_path / "o" / f"Split-{s}").iterdir()) for s in ("train", "eval"))


def test_parquet_with_huge_unsigned_numbers(tmp_path):
    pq.write_table(pa.table({"x": pa.array([2**64 - 1, 1], pa.uint64()), "y": [0, 1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="column 'x' is no int"):
        make(tmp_path / "t.parquet", tmp_path / "o", types={"x": "int"})
    make(tmp_path / "t.parquet", tmp_path / "p")
    assert {row["x"] for row in read_all(tmp_path / "p")} == {"18446744073709551615", "1"}


TYPES = ["int", "time", "bool", "string", "time:ms", "float:1.234,5", "int:1,234", "float:1.5%"]
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "types": st.dictionaries(st.sampled_from(["x", "y", "q"]), st.sampled_from(TYPES)),
        "split": st.fixed_dictionaries(
            {"by": st.sampled_from(["hash", "entity", "time"])}, optional={"column": st.sampled_from(["x", "y", ""])}
        ),
        "max_bad_rows": st.integers(0, 5),
        "csv": st.fixed_dictionaries(
            {},
            optional={
                "delimiter": st.sampled_from([",", ";", "\t", "x"]),
                "quote": st.sampled_from(['"', "", "'"]),
                "skip_lines": st.integers(0, 2),
                "skip_after_header": st.integers(0, 2),
                "footer": st.just(["x"]),
                "trim": st.booleans(),
            },
        ),
        "leave_out": st.lists(st.sampled_from(["x", "y"]), max_size=2),
        "null_values": st.dictionaries(st.sampled_from(["x", "y", "q"]), st.just(["", "1", "é"])),
        "calendar": st.dictionaries(st.sampled_from(["x", "q"]), st.just(["hour"])),
    },
)
CONTENT = st.binary(max_size=200) | st.text(alphabet='xy01,;."\n\r \0é-', max_size=200).map(str.encode)
PREFIXES = st.sampled_from([b"", b"x,y\n", b'{"x": 1, "y": 0}\n', b"\x1f\x8b", b"PK\x03\x04", b"PAR1"])
ENDINGS = st.sampled_from(["csv", "csv.gz", "csv.zip", "jsonl", "parquet", "tfrecord", "tfrecord.gz", "tsv"])
LABELS = st.fixed_dictionaries(
    {"column": st.sampled_from(["y", "x", "made"]), "task": st.sampled_from(["binary", "multiclass", "regression"])},
    optional={"expression": st.sampled_from(["x > y", "x + 1", "y == 'a'", "missing(x)", "x / y"])},
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prefix=PREFIXES, content=CONTENT, ending=ENDINGS, data=CONFIGS, label=LABELS)
def test_random_bytes_and_configurations_raise_only_our_errors(prefix, content, ending, data, label, tmp_path):
    path = tmp_path / f"t.{ending}"
    path.write_bytes(prefix + content)
    try:
        done = ingest_data(DataConfig(path=str(path), **data), LabelConfig(**label), str(tmp_path / "o"))
    except (DataError, ConfigError) as error:
        assert error.problem and "\n\n" not in str(error)
    except ValidationError:
        pass  # the configuration itself is refused when it is loaded
    else:
        assert done.rows["read"] >= 1
