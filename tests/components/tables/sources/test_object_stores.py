"""Data in an object store, on an S3 server that is a process of its own."""

from __future__ import annotations

import gzip
import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxiway.components.errors import DataError
from taxiway.components.files.object_stores import ObjectFolder
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.sources.fingerprint import fingerprint_files
from taxiway.components.tables.sources.open_files import describe_object, open_decompressed
from taxiway.components.tables.sources.scheduled_spans import resolve_spans

CSV = b"a,b\n1,2\n3,4\n"


@pytest.fixture(params=["s3", "minio"])
def bucket(request, s3, tmp_path) -> ObjectFolder:
    return ObjectFolder(f"{request.param}://{s3.bucket}/{tmp_path.name}")


def read(data: TableConfig) -> list[bytes]:
    return [open_decompressed(file).read() for file in select_source_files(data)]


def make_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("inner.csv", CSV)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.csv", CSV), ("x.csv.gz", gzip.compress(CSV)), ("x.zip", make_zip())],
    ids=["plain", "gzip", "zip"],
)
def test_a_file(bucket, name, content):
    bucket.put_object(f"rows/{name}", content)
    bucket.put_object(f"rows/{name}.bak", b"not asked for")
    assert read(TableConfig(path=f"{bucket.url}/rows/{name}")) == [CSV]


def test_a_parquet_file_is_read_in_parts(bucket):
    out = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2, 3]}), out)
    bucket.put_object("x.parquet", out.getvalue())
    [file] = select_source_files(TableConfig(path=f"{bucket.url}/x.parquet"))
    assert file.format == "parquet" and pq.read_table(open_decompressed(file)).to_pydict() == {"a": [1, 2, 3]}


def test_a_folder_and_not_the_one_whose_name_begins_so(bucket):
    for name in ("a/1/x.csv", "a/1/deep/y.csv", "a/1/_SUCCESS", "a/10/z.csv"):
        bucket.put_object(name, CSV)
    files = select_source_files(TableConfig(path=f"{bucket.url}/a/1"))
    assert [file.path for file in files] == [f"{bucket.url}/a/1/deep/y.csv", f"{bucket.url}/a/1/x.csv"]


def test_spans_and_globs(bucket):
    for day in (20251230, 20251231, 20260101):
        bucket.put_object(f"day={day}/part-0.csv", CSV + str(day).encode())
        bucket.put_object(f"day={day}/notes.txt", b"nothing")
    data = TableConfig(path=f"{bucket.url}/day={{SPAN}}/*.csv")
    [file] = select_source_files(data)
    assert file.span == 20260101
    assert resolve_spans(data, "20251231060000") == "20251231"
    assert len(select_source_files(data.model_copy(update={"spans": "all"}))) == 3


def test_the_digest_is_that_of_a_local_copy(bucket, tmp_path):
    bucket.put_object("x.csv", CSV)
    (tmp_path / "other.csv").write_bytes(CSV)
    there = fingerprint_files(TableConfig(path=f"{bucket.url}/x.csv"))
    assert there == fingerprint_files(TableConfig(path=str(tmp_path / "other.csv")))
    bucket.put_object("x.csv", CSV + b"5,6\n")
    assert fingerprint_files(TableConfig(path=f"{bucket.url}/x.csv")).digest != there.digest


@pytest.mark.parametrize("path", ["nothing.csv", "nothing/*.csv", "nothing"])
def test_data_that_is_not_there(bucket, path):
    with pytest.raises(DataError):
        select_source_files(TableConfig(path=f"{bucket.url}/{path}"))


def test_an_object_that_is_gone_has_no_description(bucket):
    bucket.put_object("x.zip", b"1")
    assert describe_object(f"{bucket.url}/x.zip").size == 1
    with pytest.raises(DataError, match="is not there"):
        describe_object(f"{bucket.url}/y.zip")


def test_nobody_answers(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="cannot be reached") as raised:
        fingerprint_files(TableConfig(path="s3://bucket/x.csv"))
    assert "AWS_ENDPOINT_URL_S3" in str(raised.value)
