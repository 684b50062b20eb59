"""Rows to batches: each row once an epoch, whatever the mode, the sharding and the batch."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.errors import ConfigError, DataError
from taxiway.components.processes import memory_limits
from taxiway.components.training.data import records
from taxiway.components.training.data.features import read_transformed_features
from taxiway.components.training.data.input_pipeline import build_parse_spec, estimate_memory_bytes, open_source
from taxiway.components.training.data.sources import BatchLayout, BatchSource, MemorySource
from taxiway.components.training.data.stream import StreamSource
from tests.components.training.synthetic import make_job, write_dataset

ROWS = 617


def open_train(data: Path, worker: int = 0, workers: int = 1, **settings: Any) -> BatchSource:
    return open_source(make_job(data, training={"input": settings}), "train", worker, workers)


def keys(
    source: BatchSource, layout: BatchLayout, first: int, steps: int, seed: int | None = 5, shuffle: str = "rows"
) -> list:
    """The first number of each row with weight, in the order of the batches."""
    elements = source.make_batches(layout, seed, first, shuffle).take(steps * layout.per_step)
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
    source, layout = open_train(binary_data, **MODES[mode]), BatchLayout(batch)
    steps = source.steps_per_epoch(batch)
    two = keys(source, layout, 0, 2 * steps)
    assert sorted(two[:ROWS]) == every_row
    assert sorted(two[ROWS:]) == every_row
    if "any order" not in mode:
        assert two[:ROWS] != two[ROWS:], "another order in each epoch"


@pytest.mark.parametrize("mode", ["memory", "stream", "stream without a disk cache"])
def test_to_resume_is_to_start_at_another_step(binary_data: Path, mode: str) -> None:
    source, layout = open_train(binary_data, **MODES[mode]), BatchLayout(64)
    assert keys(source, layout, 0, 25)[-5 * 64 :] == keys(source, layout, 20, 5)[-5 * 64 :]


@pytest.mark.parametrize("sharding", ["file", "element"])
@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_workers_see_each_row_once_together(
    binary_data: Path, every_row: list[float], mode: str, sharding: str
) -> None:
    found: list[float] = []
    for worker in range(2):
        source = open_train(binary_data, worker, 2, mode=mode, sharding=sharding)
        layout = BatchLayout(64, replicas=2, first_replica=worker)
        assert source.rows == ROWS
        found += keys(source, layout, 0, source.steps_per_epoch(64))
    assert sorted(found) == every_row


@pytest.fixture(scope="module")
def uneven_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven files of very different sizes, of which two are empty; three workers share them, one of whose are."""
    folder = tmp_path_factory.mktemp("uneven")
    write_dataset(folder, "binary", train_rows=(201, 0, 5, 64, 0, 7, 133))
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_workers_with_uneven_shards_see_each_row_once(uneven_data: Path, mode: str) -> None:
    """In each of two epochs, whichever worker has no rows left or none at all; each has two replicas, and two parts."""
    expected, workers = sorted(open_train(uneven_data).features["numeric"][:, 0].tolist()), 3  # type: ignore[attr-defined]
    seen: list[float] = []
    for worker in range(workers):
        source = open_train(uneven_data, worker, workers, sharding="file", **MODES[mode])
        layout = BatchLayout(120, workers * 2, 2, worker * 2, 2)
        steps = source.steps_per_epoch(120)
        assert (steps, source.rows) == (10, len(expected)), "all workers take as many steps"
        both = keys(source, layout, 0, 2 * steps)
        own = len(both) // 2
        assert sorted(both[:own]) == sorted(both[own:])
        seen += both[:own]
    assert sorted(seen) == expected


def test_counted_classes_spare_reading_labels_where_workers_share_files(
    uneven_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = open_train(uneven_data).facts
    job = make_job(uneven_data, training={"input": {"mode": "stream"}}).model_copy(
        update={"rows": {"train": facts.rows}, "class_rows": {"train": facts.counts}}
    )
    monkeypatch.setattr(records, "scan_labels", None)
    assert open_source(job, "train", 0, 3).shard.rows == (398, 0, 12)  # type: ignore[union-attr]


def test_blocks_of_replicas_and_parts_make_up_the_batch(binary_data: Path) -> None:
    source = open_train(binary_data)
    whole = keys(source, BatchLayout(60), 0, 11)
    cut = keys(source, BatchLayout(60, replicas=4, parts=2, local_replicas=4), 0, 11)
    for step in range(10):
        assert sorted(whole[step * 60 : step * 60 + 60]) == sorted(cut[step * 60 : step * 60 + 60])


def test_synthetic_and_cached_hand_out_one_batch_again_and_again(binary_data: Path) -> None:
    for mode in ("synthetic", "cached"):
        found = keys(open_train(binary_data, mode=mode), BatchLayout(8), 0, 3)
        assert found[:8] == found[8:16] == found[16:]


def test_too_few_files_for_sharding_by_file(one_file_data: Path) -> None:
    with pytest.raises(ConfigError, match="2 workers cannot share 1 files"):
        open_train(one_file_data, 0, 2, sharding="file")


def test_auto_streams_what_does_not_fit(binary_data: Path) -> None:
    assert open_train(binary_data).kind == "memory"
    assert open_train(binary_data, memory_fraction=1e-12).kind == "stream"


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_files_are_refused(binary_data: Path, tmp_path: Path, damage: str) -> None:
    content = bytearray((binary_data / "train-00.gz").read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    bad = tmp_path / "bad.gz"
    bad.write_bytes(content[:-20] if damage == "truncated" else content)
    with pytest.raises(DataError, match="damaged"):
        records.load_columns([str(bad)], {"label": tf.io.FixedLenFeature([], tf.int64)})


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
    assert np.asarray(open_train(binary_data).load_tensors()[2]).sum() == ROWS  # type: ignore[attr-defined]


def test_auto_goes_by_counted_rows_and_by_what_this_process_may_use(
    binary_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(binary_data)
    assert isinstance(open_source(job, "train"), MemorySource)
    counted = job.model_copy(update={"rows": {"train": 10**10}})
    assert isinstance(open_source(counted, "train"), StreamSource), "whatever the files look like"
    monkeypatch.setattr(memory_limits, "read_available_bytes", lambda: 20_000)
    assert isinstance(open_source(job, "train"), StreamSource), "a limit of the container counts"


def test_counted_rows_take_about_what_reading_them_takes(binary_data: Path) -> None:
    files = [str(file) for file in sorted(binary_data.glob("train-*.gz"))]
    spec = build_parse_spec(read_transformed_features(str(binary_data / "transform_graph")))
    record = sum(len(gzip.decompress(Path(file).read_bytes())) for file in files)
    parsed = sum(column.nbytes for column in records.load_columns(files, spec).values())
    assert (record + parsed) / 2 < estimate_memory_bytes(spec, ROWS) < 2 * (record + parsed)


def test_rows_that_nobody_counted_are_counted(binary_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The trailer of gzip knows sizes modulo 4 GiB; the files are read once instead."""
    caplog.set_level("INFO")
    uncounted = make_job(binary_data).model_copy(update={"rows": {}})
    open_source(uncounted, "train")
    needed = estimate_memory_bytes(build_parse_spec(read_transformed_features(uncounted.transform_graph)), ROWS)
    assert f"reading takes about {needed // 10**6} MB" in caplog.text


def test_workers_decide_alike(binary_data: Path) -> None:
    """One of them has too little memory: all of them stream."""
    job = make_job(binary_data)
    assert open_source(job, "train", 0, 2, lambda fits: [fits, 0.0]).kind == "stream"
    assert open_source(job, "train", 0, 2, lambda fits: [fits, 1.0]).kind == "memory"


def test_a_stream_takes_the_counted_classes(binary_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is read for its labels, and the facts are those of the labels."""
    read = open_train(binary_data, mode="stream").facts
    in_memory = open_train(binary_data).facts
    assert (read.rows, read.counts, read.low, read.high) == (ROWS, in_memory.counts, 0.0, 1.0)
    job = make_job(binary_data, training={"input": {"mode": "stream"}}).model_copy(
        update={"rows": {"train": ROWS}, "class_rows": {"train": read.counts}}
    )
    monkeypatch.setattr(records, "scan_labels", None)
    counted = open_source(job, "train").facts
    assert (counted.rows, counted.counts) == (ROWS, read.counts)
    assert (counted.mean, counted.deviation) == pytest.approx((in_memory.mean, in_memory.deviation))
