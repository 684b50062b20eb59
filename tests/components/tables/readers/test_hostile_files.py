"""Files from outside that are hostile or broken: a plain error each, nothing runs, nothing hangs, nothing aborts."""

import gzip
import os
import random
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from taxiway.components.errors import DataError
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.record_batches import read_record_batches
from taxiway.components.tables.sources import files
from tests.components.tables.hostile import parquet_with_program

REPOSITORY = Path(__file__).parents[4]
MIB = 1 << 20

READ = """
import sys
from taxiway.components.errors import TaxiwayError
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.readers.record_batches import read_record_batches
try:
    data = TableConfig(path=sys.argv[1])
    for file in select_source_files(data):
        for batch in read_record_batches(file, data, None, BadRows()):
            pass
except TaxiwayError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def run(*arguments, timeout=120):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout
    )


# ---- Parquet that holds a program ----


RUN_PROGRAMS = "import pyarrow as pa; getattr(getattr(pa, 'PyExtensionType', None), 'set_auto_load', bool)(True)"
"""What a process says to have Arrow 14 to 20 do what older ones always do; from 21 on there is nothing to be had."""


@pytest.mark.skipif(not hasattr(pa, "PyExtensionType"), reason="Arrow 21 and newer knows no such types")
def test_the_program_runs_without_the_guard(tmp_path):
    file = parquet_with_program(tmp_path / "a.parquet", tmp_path / "marker")
    run("-c", f"{RUN_PROGRAMS}; import pyarrow.parquet as pq; pq.read_schema({str(file)!r})")
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_no_reader_of_tables_runs_it(tmp_path, name):
    file = parquet_with_program(tmp_path / "plain", tmp_path / "marker")
    content = file.read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    done = run("-c", f"{RUN_PROGRAMS}\n{READ}", tmp_path / name)
    assert done.returncode == 2 and "pickled Python object" in done.stderr, done.stderr
    assert not (tmp_path / "marker").exists()


def test_init_does_not_run_it(tmp_path):
    file = parquet_with_program(tmp_path / "a.parquet", tmp_path / "marker")
    done = run("-m", "taxiway", "init", file, "--label", "y", "-o", tmp_path / "o.yaml")
    assert done.returncode == 2 and "pickled Python object" in done.stderr, done.stderr
    assert not (tmp_path / "marker").exists()


INGEST = """
import sys
from taxiway.components.errors import TaxiwayError
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import ingest_data
try:
    ingest_data(DataConfig(path=sys.argv[1]), LabelConfig(column="y"), sys.argv[2])
except TaxiwayError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""
PREDICT = """
import sys
from pathlib import Path
from taxiway.components.errors import TaxiwayError
from taxiway.components.tables.prediction.trained_rows import TrainedReader
from taxiway.pipeline.serving.row_files import open_rows
try:
    with open_rows(Path(sys.argv[1]), None) as source:
        list(TrainedReader(None, {"a": "string"}).read_batches(source))
except TaxiwayError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""
BULK = """
import sys
from taxiway.components.errors import TaxiwayError
from taxiway.components.serving.requests import bulk_beam
from taxiway.components.tables.prediction.trained_rows import TrainedReader
bulk_beam.open_trained_reader = lambda folder: TrainedReader(None, {"a": "string"})
try:
    for file in bulk_beam.find_files("", sys.argv[1]):
        list(bulk_beam.read_batches(file, ""))
except TaxiwayError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


@pytest.mark.parametrize("code", [INGEST, PREDICT, BULK], ids=["ingest", "predict", "bulk"])
def test_no_other_reader_of_rows_runs_it(tmp_path, code):
    file = parquet_with_program(tmp_path / "a.parquet", tmp_path / "marker")
    done = run("-c", code, file, tmp_path / "out", timeout=400)
    assert not (tmp_path / "marker").exists()
    assert done.returncode == 2 and "pickled Python object" in done.stderr, done.stderr[-2000:]


# ---- csv ----


def _failing():
    """Contents that cannot be read to the end, each at another place of the file."""
    chance = random.Random(7)
    head, rows = b"a,b,y\n", b"1,2,0\n" * 200_000
    yield "one_line", head + b"x" * (20 * MIB)
    yield "no_header_line", b"x" * (8 * MIB)
    yield "cells_in_a_line", head + b"1," * 400_000 + b"\n"
    yield "cells_later", head + rows + b"1," * 40_000 + b"\n"
    yield "many_columns", b"a," * (2 * MIB)
    yield "open_quote", head + b'1,"' + rows * 8
    for index in range(6):
        before = rows * chance.randint(0, 3) + b"7,8,1\n" * chance.randint(0, 99_999)
        yield f"long_line_{index}", head + before + b"x" * (9 * MIB) + b",2,1\n" + rows * 12
    for index in range(3):
        noise = bytes(chance.choices(b"0123456789,\n", k=600_000))
        yield f"cut_gzip_{index}.gz", gzip.compress(head + noise)[: -chance.randint(9, 100_000)]


@pytest.mark.parametrize(("name", "content"), [pytest.param(n, c, id=n) for n, c in _failing()])
def test_a_file_that_fails_ends_in_plain_words_and_never_in_an_abort(tmp_path, name, content):
    file = tmp_path / (f"{name.removesuffix('.gz')}.csv" + (".gz" if name.endswith(".gz") else ""))
    file.write_bytes(content)
    done = run("-c", READ, file)
    assert done.returncode == 2 and file.name in done.stderr and "Traceback" not in done.stderr, done.stderr[-2000:]


def test_reading_may_be_left_at_any_batch(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,y\n" + b"1,0\n" * (12 * MIB))
    data = TableConfig(path=str(tmp_path / "a.csv"))
    batches = read_record_batches(files.select_source_files(data)[0], data, None, BadRows())
    assert next(batches).num_rows
    batches.close()


def test_text_of_another_encoding_is_read_by_us(tmp_path):
    (tmp_path / "a.csv").write_bytes("ä,y\nÜ,0\né,1\n".encode("utf-16"))
    data = TableConfig(path=str(tmp_path / "a.csv"), csv={"encoding": "utf-16"})
    (batch,) = read_record_batches(files.select_source_files(data)[0], data, None, BadRows())
    assert batch.schema.names == ["ä", "y"] and batch.column(0).to_pylist() == ["Ü".encode(), "é".encode()]


# ---- archives, pipes, devices ----


def test_the_directory_of_an_archive_is_read_once(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        for index in range(300):
            archive.writestr(f"{index:03}.csv", "a,y\n1,0\n")
    opened = []
    original = zipfile.ZipFile._RealGetContents
    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", lambda self: (opened.append(1), original(self)))
    data = TableConfig(path=str(tmp_path / "a.csv.zip"))
    rows = [
        b.num_rows for file in files.select_source_files(data) for b in read_record_batches(file, data, None, BadRows())
    ]
    assert sum(rows) == 300 and len(opened) == 1


def _pipe(folder):
    os.mkfifo(folder / "a.csv")
    return folder / "a.csv"


def _socket(folder):
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(folder / "a.csv"))
    made.close()
    return folder / "a.csv"


@pytest.mark.parametrize(
    ("make", "kind"),
    [(_pipe, "named pipe"), (_socket, "socket"), (lambda _: Path("/dev/zero"), "device"), (_pipe, "named pipe")],
)
def test_what_is_no_file_is_refused_unopened(tmp_path, make, kind):
    with pytest.raises(DataError, match=f"is a {kind}, not a file"):
        files.select_source_files(TableConfig(path=str(make(tmp_path))))
