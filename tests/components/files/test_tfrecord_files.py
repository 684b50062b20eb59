"""TFRecord files are cut into the records that were written, in pieces of any size; damage is named."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.errors import DataError
from taxiway.components.files import tfrecord_files
from taxiway.components.files.tfrecord_files import (
    CUT,
    NO_RECORD,
    NOT_TFRECORD,
    count_records,
    count_whole_records,
    measure_records,
    read_records,
)


def _write_records(path: Path, records: list[bytes], kind: str = "GZIP") -> None:
    with tf.io.TFRecordWriter(str(path), kind) as out:
        for record in records:
            out.write(record)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=50)), st.integers(1, 7), st.integers(1, 40), st.booleans())
def test_records_are_cut_as_they_were_written(records: list[bytes], rows: int, piece: int, gz: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfrecord_files, "_PIECE_BYTES", piece)
        path = Path(folder, "r")
        _write_records(path, records, "GZIP" if gz else "")
        read = list(read_records(str(path), rows))
        assert count_records(str(path)) == len(records)
    assert [record for part in read for record in part] == records
    assert all(len(part) == rows for part in read[:-1])


@pytest.mark.parametrize("gz", [True, False])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, gz: bool) -> None:
    path = tmp_path / "r"
    _write_records(path, [b"x" * 100] * 3, "")
    content = path.read_bytes()[:-10]
    path.write_bytes(gzip.compress(content) if gz else content)
    with pytest.raises(DataError, match="ends in the middle of a record"):
        list(read_records(str(path), 10))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.gz"
    path.write_bytes(gzip.compress(b"x" * 100000)[:-20])
    with pytest.raises(DataError, match=r"r\.gz is damaged"):
        list(read_records(str(path), 10))
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(DataError, match="a record of 18,446,744,073,709,551,615 bytes"):
        list(read_records(str(path), 10))


def test_large_records_come_in_short_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecord_files, "_PIECE_BYTES", 1000)
    monkeypatch.setattr(tfrecord_files, "_BATCH_BYTES", 3000)
    path = tmp_path / "r"
    _write_records(path, [bytes([i]) * 900 for i in range(20)], "")
    lists = list(read_records(str(path), 100))
    assert [record[0] for part in lists for record in part] == list(range(20))
    assert max(map(len, lists)) <= 4


@pytest.mark.parametrize("kind", ["GZIP", ""])
def test_sizes_are_those_of_the_first_records(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "r"
    _write_records(path, [b"x" * size for size in (0, 5, 70_000, 2)], kind)
    assert measure_records(str(path), 3) == [0, 5, 70_000]
    assert measure_records(str(path), 9) == [0, 5, 70_000, 2]
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(DataError, match="a record of 18,446,744,073,709,551,615 bytes"):
        measure_records(str(path), 3)


@pytest.mark.parametrize("gz", [True, False])
def test_whole_records_are_counted_up_to_what_is_none(tmp_path: Path, gz: bool) -> None:
    path = tmp_path / "r"
    _write_records(path, [b"x" * 100] * 3, "")
    content = path.read_bytes()
    terabyte = (1 << 45).to_bytes(8, "little") + b"\0\0\0\0"
    for found, expected in (
        (content, (3, "")),
        (b"", (0, "")),
        (content[:-1], (2, CUT)),
        (content + b"half", (3, CUT)),
        # TensorFlow's own reader would end the process.
        (content + terabyte + b"abc", (3, "a record of 35,184,372,088,832 bytes is damage")),
        (b"a page of text, not records", (0, NOT_TFRECORD)),
        (content[:50], (0, NO_RECORD)),
    ):
        path.write_bytes(gzip.compress(found) if gz else found)
        assert count_whole_records(path) == expected
    path.write_bytes(content)
    assert count_whole_records(path, 99) == (0, NOT_TFRECORD) and count_whole_records(path, 100) == (3, "")
    path.write_bytes(gzip.compress(content)[:-12])
    whole, why = count_whole_records(path)
    assert whole <= 3 and "gzip" in why
