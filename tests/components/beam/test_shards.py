"""What `tests/flink` shows on a cluster, here on Beam's own runner: every record once, errors that name the place."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that, equal_to

from taxiway.components.beam.options import BEAM_OPTIONS
from taxiway.components.beam.shards import ReadRecords, SpreadFiles, list_files
from taxiway.components.errors import DataError

ROWS_A_FILE = 1500  # more than one batch of the reader


def _write_shards(folder: Path, count: int, ending: str = ".gz") -> list[bytes]:
    folder.mkdir()
    written = []
    for shard in range(count):
        kind = "GZIP" if ending == ".gz" else ""
        with tf.io.TFRecordWriter(str(folder / f"rows-{shard:05d}{ending}"), kind) as out:
            for row in range(shard, ROWS_A_FILE * min(shard, 2)):
                record = f"{ending} {shard} {row}".encode()
                out.write(record)
                written.append(record)
    return written


def test_every_record_of_every_file_is_read_once(tmp_path: Path) -> None:
    """Packed and plain files, an empty one, and a pattern a folder."""
    written = _write_shards(tmp_path / "train", 4) + _write_shards(tmp_path / "eval", 2, ".tfrecord")
    with beam.Pipeline(argv=[*BEAM_OPTIONS]) as pipeline:
        read = pipeline | ReadRecords([f"{tmp_path}/train/*", f"{tmp_path}/eval/*"])
        assert_that(read, equal_to(written))


def test_each_file_is_an_element(tmp_path: Path) -> None:
    _write_shards(tmp_path / "train", 3)
    with beam.Pipeline(argv=[*BEAM_OPTIONS]) as pipeline:
        assert_that(pipeline | SpreadFiles([f"{tmp_path}/train/*"]), equal_to(list_files([f"{tmp_path}/train/*"])))
    assert list_files([f"{tmp_path}/train/*"]) == [f"{tmp_path}/train/rows-{i:05d}.gz" for i in range(3)]


def test_a_pattern_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No file matches .*nothing"):
        list_files([f"{tmp_path}/nothing*"])
