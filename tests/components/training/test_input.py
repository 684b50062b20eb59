"""Rows to batches: each row once an epoch, whatever the mode, the sharding and the batch."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components import memory_limits
from components.errors import ConfigError, DataError
from components.training import records, schema
from components.training.input import bytes_in_memory, open_source, parse_spec
from components.training.sources import Layout, MemorySource, Source
from components.training.stream import StreamSource
from tests.components.training.synthetic import make_job

ROWS = 617


def open_train(data: Path, worker: int = 0, workers: int = 1, **settings: Any) -> Source:
    return open_source(make_job(data, training={"input": settings}), "train", worker, workers)


def keys(source: Source, layout: Layout, first: int, steps: int, seed: int | None = 5, shuffle: str = "rows") -> list:
    """The first number of each row with weight, in the order of the batches."""
    elements = source.batches(layout, seed, first, shuffle).take(steps * layout.per_step)
    found = []
    for features, _, weights in elements.as_numpy_iterator():
        assert len(weights) == layout.block, "static shapes"
        found += features["numeric"][weights > 0, 0].tolist()
    return found


@pytest.fixture(scope="module")
def every_row(binary_data: Path) -> list[float]:
    return sorted(open_train(binary_data).features["numeric"][:, 0].tolist())  # type: ignore[attr-defined]


MODES: dict[str, dict[str, Any]] = {
    "memory": {"mode": "memory"},
    "stream": {"mode": "stream", "shuffle_rows": 150},
    "stream without a disk cache": {"mode": "stream", "shuffle_rows": 150, "disk_cache": False},
    "stream in any order": {"mode": "stream", "deterministic": False},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [64, 617, 1000])
def test_each_row_once_an_epoch(binary_data: Path, every_row: list[float], mode: str, batch: int) -> None:
    source, layout = open_train(binary_data, **MODES[mode]), Layout(batch)
    steps = source.steps_per_epoch(batch)
    two = keys(source, layout, 0, 2 * steps)
    assert sorted(two[:ROWS]) == every_row
    assert sorted(two[ROWS:]) == every_row
    if "any order" not in mode:
        assert two[:ROWS] != two[ROWS:], "another order in each epoch"


@pytest.mark.parametrize("mode", ["memory", "stream", "stream without a disk cache"])
def test_to_resume_is_to_start_at_another_step(binary_data: Path, mode: str) -> None:
    source, layout = open_train(binary_data, **MODES[mode]), Layout(64)
    assert keys(source, layout, 0, 25)[-5 * 64 :] == keys(source, layout, 20, 5)[-5 * 64 :]


@pytest.mark.parametrize("sharding", ["file", "element"])
@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_workers_see_each_row_once_together(
    binary_data: Path, every_row: list[float], mode: str, sharding: str
) -> None:
    found: list[float] = []
    for worker in range(2):
        source = open_train(binary_data, worker, 2, mode=mode, sharding=sharding)
        layout = Layout(64, replicas=2, first_replica=worker)
        assert source.rows == ROWS
        found += keys(source, layout, 0, source.steps_per_epoch(64))
    assert sorted(found) == every_row


def test_blocks_of_replicas_and_parts_make_up_the_batch(binary_data: Path) -> None:
    source = open_train(binary_data)
    whole = keys(source, Layout(60), 0, 11)
    cut = keys(source, Layout(60, replicas=4, parts=2, local_replicas=4), 0, 11)
    for step in range(10):
        assert sorted(whole[step * 60 : step * 60 + 60]) == sorted(cut[step * 60 : step * 60 + 60])


def test_synthetic_and_cached_hand_out_one_batch_again_and_again(binary_data: Path) -> None:
    for mode in ("synthetic", "cached"):
        found = keys(open_train(binary_data, mode=mode), Layout(8), 0, 3)
        assert found[:8] == found[8:16] == found[16:]


def test_too_few_files_for_sharding_by_file(one_file_data: Path) -> None:
    with pytest.raises(ConfigError, match="2 workers cannot share 1 files"):
        open_train(one_file_data, 0, 2, sharding="file")


def test_auto_streams_what_does_not_fit(binary_data: Path) -> None:
    assert open_train(binary_data).kind == "memory"
    assert open_train(binary_data, memory_fraction=1e-12).kind == "stream"


def test_records_are_those_that_tensorflow_reads(binary_data: Path) -> None:
    file = str(binary_data / "train-00.gz")
    ours = records.split_records(records.read_bytes(file), file)
    assert ours == list(tf.data.TFRecordDataset(file, "GZIP").as_numpy_iterator())


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_files_are_refused(binary_data: Path, tmp_path: Path, damage: str) -> None:
    content = bytearray((binary_data / "train-00.gz").read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    bad = tmp_path / "bad.gz"
    bad.write_bytes(content[:-20] if damage == "truncated" else content)
    with pytest.raises(DataError, match="damaged"):
        records.read_bytes(str(bad))


def test_no_files_and_no_rows(binary_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No train files match"):
        open_source(make_job(binary_data, train_files=(str(tmp_path / "none-*"),)), "train")
    with tf.io.TFRecordWriter(str(tmp_path / "empty.gz"), "GZIP"):
        pass
    with pytest.raises(DataError, match="no rows"):
        open_source(make_job(binary_data, train_files=(str(tmp_path / "empty.gz"),)), "train")


def test_sample_weights_weigh_and_are_no_input(binary_data: Path) -> None:
    job = make_job(binary_data, training={"sample_weight": "nothing"})
    with pytest.raises(DataError, match="nothing"):
        open_source(job, "train")
    assert np.asarray(open_train(binary_data).tensors()[2]).sum() == ROWS  # type: ignore[attr-defined]


def test_auto_goes_by_counted_rows_and_by_what_this_process_may_use(
    binary_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(binary_data)
    assert isinstance(open_source(job, "train"), MemorySource)
    counted = job.model_copy(update={"rows": {"train": 10**10}})
    assert isinstance(open_source(counted, "train"), StreamSource), "whatever the files look like"
    monkeypatch.setattr(memory_limits, "available_bytes", lambda: 20_000)
    assert isinstance(open_source(job, "train"), StreamSource), "a limit of the container counts"


def test_counted_rows_take_about_what_reading_them_takes(binary_data: Path) -> None:
    files = [str(file) for file in sorted(binary_data.glob("train-*.gz"))]
    spec = parse_spec(schema.transformed_features(str(binary_data / "transform_graph")))
    record = sum(len(records.read_bytes(file)) for file in files)
    parsed = sum(column.nbytes for column in records.load(files, spec).values())
    assert (record + parsed) / 2 < bytes_in_memory(spec, ROWS) < 2 * (record + parsed)


@pytest.mark.parametrize("wraps", [0, 1, 5])
def test_a_size_beyond_the_gzip_trailer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wraps: int) -> None:
    """As a file of more than 4 GiB, with a trailer that wraps around at 64 KiB."""
    monkeypatch.setattr(records, "WRAP_BYTES", 1 << 16)
    content = np.random.default_rng(0).integers(0, 30, wraps * (1 << 16) + 12_345, dtype=np.uint8).tobytes()
    file = tmp_path / "rows.gz"
    file.write_bytes(gzip.compress(content)[:-4] + (len(content) % (1 << 16)).to_bytes(4, "little"))
    monkeypatch.setattr(records, "SAMPLE_BYTES", 1 << 13)
    assert records.estimated_bytes([str(file)]) == len(content)
