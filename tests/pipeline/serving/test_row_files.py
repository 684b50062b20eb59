"""Rows for predictions from standard input: the format is told by the first bytes."""

import gzip
import io
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from taxiway.components.tables.prediction.trained_rows import TrainedReader
from taxiway.components.tables.reading_rules import ReadingRules
from taxiway.pipeline.serving import row_files

INPUTS = {"fare": "float32", "company": "string"}
EXPECTED = {"fare": [12.5, None], "company": [b"x", b"y, z"]}


def as_parquet():
    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"fare": [12.5, None], "company": ["x", "y, z"]}), out)
    return out.getvalue()


CONTENTS = {
    "jsonl": b'{"fare": 12.5, "company": "x"}\n\n{"company": "y, z"}\n',
    "csv": b'\xef\xbb\xbffare,company\n12.5,x\n,"y, z"\n',
    "tsv": b"fare\tcompany\n12.5\tx\n\ty, z\n",
    "parquet": as_parquet(),
}


@pytest.fixture
def given(monkeypatch):
    def give(content):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


def read(source):
    reader = TrainedReader(ReadingRules(format="csv", kinds={"fare": "float", "company": "string"}), INPUTS)
    found = [reader.convert_columns(batch) for batch in reader.read_batches(source)]
    return {name: [v for columns in found for v in columns[name].to_pylist()] for name in INPUTS}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", CONTENTS)
def test_every_format_on_standard_input(given, name, pack):
    given(pack(CONTENTS[name]))
    with row_files.open_rows(None, None) as source:
        assert read(source) == EXPECTED
    assert not Path(source.path).exists()


def test_only_the_first_rows(given):
    given(CONTENTS["csv"])
    with row_files.open_rows(Path("-"), 1) as source:
        assert read(source) == {name: values[:1] for name, values in EXPECTED.items()}


def test_nothing_on_standard_input_is_no_row(given):
    given(b" \n")
    with row_files.open_rows(None, None) as source:
        assert read(source) == {"fare": [], "company": []}
