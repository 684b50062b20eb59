"""Rows of examples are the same from the columnar copy as decoded by tfx_bsl, and are read in pieces."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.tables.examples import column_files
from taxiway.components.tables.examples.column_files import ColumnFileWriter, read_column_file, wrap_in_lists
from taxiway.components.tables.examples.shards import ExampleShard, list_shards, read_shard, read_split
from taxiway.components.tables.tfx_bsl_private import encode_examples, make_example_decoder
from tests.components.example_gen.rows import make, write

TABLE = {"n": [1, None, -3], "x": [0.5, 2.5, None], "t": ["a", None, "日本"], "y": [0, 1, 1]}


def _write_records(path: Path, records: list[bytes], kind: str = "GZIP") -> None:
    with tf.io.TFRecordWriter(str(path), kind) as out:
        for record in records:
            out.write(record)


def test_the_copy_holds_what_the_examples_decode_to(tmp_path: Path) -> None:
    table = {name: values * 400 for name, values in TABLE.items()}
    make(write(tmp_path / "t.csv", table), tmp_path / "o")
    for split in ("train", "eval"):
        shards = list_shards(str(tmp_path / "o"), split)
        assert shards and all(shard.columns for shard in shards)
        for shard in shards:
            copied = pa.Table.from_batches(read_shard(shard))
            decoded = pa.Table.from_batches(read_shard(ExampleShard(shard.records)))
            assert copied.schema == decoded.schema and copied.num_rows > 0
            assert copied.to_pydict() == decoded.to_pydict()


def test_the_splits_folder_holds_records_alone(tmp_path: Path) -> None:
    """Stock components read every file of `Split-train/`."""
    make(write(tmp_path / "t.csv", {n: v * 50 for n, v in TABLE.items()}), tmp_path / "o")
    assert [p.suffix for p in (tmp_path / "o" / "Split-train").iterdir()] == [".gz"]
    assert not list((tmp_path / "o" / ".writing").rglob("*.*"))


def test_columns_are_chosen_and_batches_are_small(tmp_path: Path) -> None:
    make(write(tmp_path / "t.csv", {n: v * 100 for n, v in TABLE.items()}), tmp_path / "o")
    (shard,) = list_shards(str(tmp_path / "o"), "train")
    for each in (shard, ExampleShard(shard.records)):
        batches = list(read_shard(each, ["x", "n", "no such column"], batch_rows=64))
        assert {tuple(batch.schema.names) for batch in batches} == {("n", "x")}
        assert max(batch.num_rows for batch in batches) == 64
    assert sum(b.num_rows for b in read_split(str(tmp_path / "o"), "train")) == 240
    assert list_shards(str(tmp_path / "o"), "no such split") == ()


def test_batches_of_very_wide_tables_have_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(write(tmp_path / "t.csv", {n: v * 100 for n, v in TABLE.items()}), tmp_path / "o")
    monkeypatch.setattr(column_files, "_MOST_CELLS", 120)
    batches = list(read_split(str(tmp_path / "o"), "train"))
    assert len(TABLE) == 4 and max(batch.num_rows for batch in batches) == 30


def test_foreign_examples_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "Split-eval").mkdir()
    batch = pa.RecordBatch.from_arrays([pa.array([[1, 2], []]), pa.array([[b"x"], [b"y"]])], names=["n", "t"])
    _write_records(tmp_path / "Split-eval" / "data_tfrecord-00000-of-00001.gz", encode_examples(batch))
    (shard,) = list_shards(str(tmp_path), "eval")
    assert shard.columns == ""
    assert [b.to_pydict() for b in read_shard(shard)] == [{"n": [[1, 2], []], "t": [[b"x"], [b"y"]]}]


VALUES = st.one_of(
    st.tuples(st.just(pa.int64()), st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))),
    st.tuples(st.just(pa.float32()), st.lists(st.none() | st.floats(width=32))),
    st.tuples(st.just(pa.large_binary()), st.lists(st.none() | st.binary(max_size=20))),
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_any_values_come_back_as_the_encoder_and_decoder_give_them(drawn: tuple[pa.DataType, list[object]]) -> None:
    kind, values = drawn
    array = pa.array(values, kind)
    batch = pa.RecordBatch.from_arrays([array], names=["c"])
    lists = wrap_in_lists(batch)
    assert repr(lists.column(0).to_pylist()) == repr([[] if v is None else [v] for v in array.to_pylist()])
    if not values:
        return
    with tempfile.TemporaryDirectory() as folder:
        writer = ColumnFileWriter(f"{folder}/c.parquet")
        writer.write_batch(batch)
        assert writer.close()
        copied = wrap_in_lists(next(read_column_file(f"{folder}/c.parquet")))
    decoded = make_example_decoder()(encode_examples(lists))
    assert repr(copied.column(0).to_pylist()) == repr(decoded.column(0).to_pylist())
