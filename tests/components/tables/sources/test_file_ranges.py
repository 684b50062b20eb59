"""Large files are cut between rows: the parts together hold every row once, in order."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import ingest_data
from taxiway.components.tables.config import CsvConfig, TableConfig
from taxiway.components.tables.examples.shards import read_split
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.record_batches import read_record_batches
from taxiway.components.tables.sources import file_ranges
from taxiway.components.tables.sources.file_ranges import cut_files, find_row_starts
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.sources.source_file import SourceFile

CELLS = st.text(alphabet='ab,;"\n\r é', max_size=6)


def _read(files: list[SourceFile], data: TableConfig) -> list[tuple[Any, ...]]:
    batches = [batch for file in files for batch in read_record_batches(file, data, None, BadRows())]
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def _cut(path: Path, data: TableConfig, size: int) -> list[SourceFile]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_ranges, "PART_BYTES", size)
        patch.setattr(file_ranges, "_PIECE_BYTES", 11)
        return cut_files(select_source_files(data), data.csv)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30), st.integers(8, 60), st.sampled_from([0, 1]))
def test_csv_in_parts_reads_as_a_whole(rows: list[tuple[str, str]], size: int, skipped: int) -> None:
    text = io.StringIO(newline="")
    text.write("a title\n" * skipped)
    csv.writer(text, quoting=csv.QUOTE_MINIMAL).writerows([("x", "y"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_bytes(text.getvalue().encode())
        data = TableConfig(path=str(path), csv=CsvConfig(skip_lines=skipped))
        assert _read(_cut(path, data, size), data) == _read(select_source_files(data), data)


@given(st.lists(st.lists(st.text(alphabet='a"\n,', max_size=5), min_size=1, max_size=3), max_size=20), st.data())
def test_a_part_begins_where_a_row_does(rows: list[list[str]], data: st.DataObject) -> None:
    text, starts = io.StringIO(newline=""), set()
    for row in rows:
        csv.writer(text, quoting=csv.QUOTE_ALL).writerow(row)
        starts.add(len(text.getvalue().encode()))
    content = text.getvalue().encode()
    targets = sorted(data.draw(st.lists(st.integers(0, max(len(content), 1)), max_size=5)))
    piece = data.draw(st.integers(1, 9))
    pieces = iter([content[i : i + piece] for i in range(0, len(content), piece)])
    found = find_row_starts(pieces, targets, CsvConfig())
    assert found is not None and set(found) <= starts and found == sorted(set(found))


def test_large_files_are_cut_and_small_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "1,2\n" * 1000)
    data = TableConfig(path=str(path))
    assert len(_cut(path, data, 500)) == 8
    assert cut_files(select_source_files(data), data.csv) == select_source_files(data)


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (b'x,y\n5" disk,2\n' * 99, {}),
        (b"x,y\r1,2\r" * 99, {}),
        ("x,y\n1,2\n".encode("utf-16") * 99, {"csv": {"encoding": "utf-16"}}),
    ],
    ids=["a quote in a cell", "no line feeds", "two bytes a character"],
)
def test_what_cannot_be_cut_for_sure_stays_whole(tmp_path: Path, content: bytes, settings: dict[str, Any]) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    data = TableConfig(path=str(path), **settings)
    assert _cut(path, data, 100) == select_source_files(data)


def test_parquet_is_cut_between_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"x": list(range(1000)), "y": [str(i) for i in range(1000)]})
    pq.write_table(table, path, row_group_size=100)
    data = TableConfig(path=str(path))
    parts = _cut(path, data, 3000)
    assert len(parts) > 2 and [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert _read(parts, data) == _read(select_source_files(data), data)


def test_examples_of_a_cut_file_are_those_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Splits, counts and the order of rows stay what they are; a bad row of a later part has no number."""
    path = tmp_path / "t.csv"
    lines = [f'{i},"word {i % 7}, {"x" * (i % 5)}",{i % 3}' for i in range(3000)]
    lines[2500] = "1,2"
    path.write_text("\n".join(["n,t,y", *lines, *lines[:50]]))
    results = {}
    for name in ("whole", "cut"):
        if name == "cut":
            monkeypatch.setattr(file_ranges, "PART_BYTES", 8000)
        label = LabelConfig(column="y", task="multiclass")
        results[name] = ingest_data(DataConfig(path=str(path), max_bad_rows=1), label, str(tmp_path / name))
    whole, cut = results["whole"], results["cut"]
    assert len(list((tmp_path / "cut" / "Split-train").iterdir())) > 3
    assert (cut.rows, cut.class_rows, cut.files, cut.equal_rows) == (
        whole.rows, whole.class_rows, whole.files, whole.equal_rows,
    )  # fmt: skip
    for split in whole.class_rows:
        rows = [
            [row for batch in read_split(str(tmp_path / name), split) for row in batch.to_pylist()] for name in results
        ]
        assert rows[0] == rows[1] and rows[0]
    bad = json.loads((tmp_path / "cut" / "bad_rows.jsonl").read_text())
    assert bad["row"] is None and bad["text"].strip() == "1,2"
