"""What a reader of logs skips is counted and named: damage, strangers, what is old or gone; and what masks a record."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from taxiway.components.errors import DataError
from taxiway.components.files.tfrecord_files import CUT, NO_RECORD, NOT_TFRECORD
from taxiway.components.monitoring.window import collect_window
from taxiway.components.serving.request_log import record_files
from taxiway.components.serving.request_log.column_mask import ColumnMask
from taxiway.components.serving.request_log.file_names import OPEN_SUFFIX
from taxiway.components.serving.request_log.logged_mask import LoggedMask
from taxiway.components.serving.request_log.logged_requests import (
    FOREIGN,
    LoggedRequest,
    ReadResult,
    find_log_files,
    read_requests,
)
from taxiway.components.serving.request_log.prediction_log import build_log
from taxiway.components.serving.request_log.request_trace import Exchange, RequestTrace

MOMENT = 1_700_000_000.0
OWN = "20231114T221320.000000Z-host-1.tfrecord"


def make_record(version: int = 7, model: str = "taxi") -> bytes:
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.timestamp_secs = int(MOMENT)
    spec = log.predict_log.response.model_spec
    spec.name, spec.version.value = model, version
    log.predict_log.request.inputs["seats"].CopyFrom(tf.make_tensor_proto([1]))
    return bytes(log.SerializeToString())


def write(path: Path, records: list[bytes], compression: str = "") -> Path:
    with tf.io.TFRecordWriter(str(path), compression) as out:
        for record in records:
            out.write(record)
    return path


def read(*places: Path) -> tuple[list[LoggedRequest], ReadResult]:
    result = ReadResult()
    files = find_log_files(places, result)
    return list(read_requests(files, "taxi", 7, MOMENT - 60, MOMENT + 60, result)), result


def test_damage_is_named_with_what_was_read_before_it(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", [make_record()] * 4).read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-5])
    flipped = bytearray(whole)
    flipped[len(whole) // 4 + 30] ^= 1
    (tmp_path / "flipped").write_bytes(flipped)
    (tmp_path / "notes.md").write_text("# what is this folder for, and who may look into it?")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "not protos").write_bytes(write(tmp_path / "x", [b"\xff\xff"]).read_bytes())
    (tmp_path / "x").unlink()
    requests, result = read(tmp_path)
    assert len(requests) == 4 + 3 + 1 and result.files == 6
    assert result.unreadable == {
        str(tmp_path / "cut"): f"{CUT}; 3 records of it were read",
        str(tmp_path / "flipped"): "its record 2 is damaged (wrong checksum); 1 records of it were read",
        str(tmp_path / "notes.md"): f"{NOT_TFRECORD}; 0 records of it were read",
    }
    assert result.records == {"taken": 8, "damaged": 1}
    result.check_anything_readable()


def test_nothing_but_damage_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no records in here, only words that somebody wrote")
    _, result = read(tmp_path / "log")
    with pytest.raises(DataError, match=rf"Nothing of the request log.*{NOT_TFRECORD}"):
        result.check_anything_readable()
    _, result = read(write(tmp_path / "noise", [b"\xff\xff"] * 3))
    with pytest.raises(DataError, match="3 records are no PredictionLog"):
        result.check_anything_readable()
    _, result = read(write(tmp_path / "others", [make_record(model="flights")]))
    result.check_anything_readable()  # whole, though of another model
    assert result.others == {"model 'flights'": 1}
    ReadResult().check_anything_readable()


def test_a_service_that_nobody_asked_is_no_damage(tmp_path: Path) -> None:
    own = write(tmp_path / OWN, [make_record()])
    os.utime(own, (MOMENT, MOMENT - 9e5))
    (tmp_path / "README.md").write_text("who may look in here, and why")
    cut = tmp_path / OWN.replace("T22", "T23")
    cut.write_bytes(own.read_bytes()[:-5])
    requests, result = read(tmp_path)
    assert (requests, result.older) == ([], 1) and len(result.unreadable) == 2
    result.check_anything_readable()  # the older file has what there is
    own.write_bytes(b"")
    _, result = read(tmp_path)
    assert result.whole == 1
    result.check_anything_readable()
    own.unlink()
    _, result = read(tmp_path)
    with pytest.raises(DataError, match=NO_RECORD) as caught:
        result.check_anything_readable()
    assert "README" not in str(caught.value)


TEXTS = np.array([b"a"] * 5, object)


@pytest.mark.parametrize(
    ("inputs", "whole"),
    [
        ({"x": [1, 2], "y": [1]}, True),
        ({"x": [1, 2], "y": 1}, True),
        ({"x": np.zeros((5, 0)), "y": np.zeros((5, 1))}, True),
        ({"x": np.zeros((5, 1)), "examples": TEXTS.reshape(5, 1)}, True),
        ({"x": [], "y": []}, True),
        ({"x": [1, 2], "y": [1, 2, 3]}, False),
        ({"x": [], "y": [1]}, False),
        ({"x": np.zeros((0, 2)), "y": [[1]]}, False),
        ({"x": [1, 2], "y": np.zeros((1, 0))}, False),
        ({"x": np.zeros((5, 1)), "examples": TEXTS.reshape(5, 1)[:, :0]}, False),
        ({"examples": np.array([TEXTS] * 5, object)}, False),
    ],
)
def test_tensors_that_differ_in_their_rows_are_damage(tmp_path: Path, inputs: dict[str, Any], whole: bool) -> None:
    """As each that is taken for whole can be made columns: one odd record would end every monitor on its window."""
    log = prediction_log_pb2.PredictionLog.FromString(make_record())
    log.predict_log.request.inputs.clear()
    for alias, values in inputs.items():
        log.predict_log.request.inputs[alias].CopyFrom(tf.make_tensor_proto(values))
    requests, result = read(write(tmp_path / "log", [log.SerializeToString()]))
    assert result.records == {"taken" if whole else "damaged": 1}
    if "examples" not in inputs:
        window = collect_window(requests, {}, "score")
        assert {len(column) for column in window.columns.values()} <= {window.rows}


def test_strangers_beside_a_servers_files_are_named_and_not_read(tmp_path: Path) -> None:
    write(tmp_path / OWN, [make_record()])
    copy = write(tmp_path / f"{OWN}.bak", [make_record()])  # read as well, its rows would count twice
    requests, result = read(tmp_path)
    assert len(requests) == 1 and result.unreadable == {str(copy): FOREIGN}
    requests, _ = read(tmp_path, tmp_path / OWN, tmp_path / "." / OWN)
    assert len(requests) == 1


def test_a_file_that_grows_may_end_within_a_record(tmp_path: Path) -> None:
    whole = write(tmp_path / "x", [make_record()] * 2).read_bytes()
    growing = tmp_path / OWN.replace(".tfrecord", OPEN_SUFFIX)
    growing.write_bytes(whole[:-5])
    requests, result = read(growing)
    assert len(requests) == 1 and result.unreadable == {}


@pytest.mark.parametrize("step", ["count_whole_records", "is_gzip"])
def test_a_file_that_its_server_closes_meanwhile_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    growing = write(tmp_path / OWN.replace(".tfrecord", OPEN_SUFFIX), [make_record()] * 3)
    does = getattr(record_files, step)

    def close_after(path: Path, *more: Any) -> Any:
        found = does(path, *more)
        if growing.exists():
            growing.rename(tmp_path / OWN)
        return found

    monkeypatch.setattr(record_files, step, close_after)
    requests, result = read(tmp_path)
    assert len(requests) == 3 and (result.files, result.records) == (1, {"taken": 3})


@pytest.mark.parametrize("name", ["log", "log.gz"])
@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_gzip_is_known_by_content_not_by_name(tmp_path: Path, name: str, compression: str) -> None:
    requests, result = read(write(tmp_path / name, [make_record(), make_record(8)], compression))
    assert len(requests) == 1 and result.unreadable == {}
    assert result.records == {"taken": 1, "other version": 1} and result.others == {"version 8": 1}
    assert requests[0].mask is None
    np.testing.assert_array_equal(requests[0].inputs["seats"], [1])


def test_a_gzip_stream_that_is_cut_is_named(tmp_path: Path) -> None:
    content = write(tmp_path / "x", [os.urandom(5000), make_record()]).read_bytes()
    (tmp_path / "log").write_bytes(gzip.compress(content)[:3000])
    _, result = read(tmp_path / "log")
    assert "gzip" in result.unreadable[str(tmp_path / "log")]


def test_old_files_are_counted_and_a_clock_that_is_behind_loses_none(tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("clock", 600)):
        os.utime(write(tmp_path / name, [make_record()]), (MOMENT, MOMENT - 60 - age))
    requests, result = read(tmp_path)
    assert len(requests) == 1 and (result.files, result.older) == (1, 1)


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        find_log_files([tmp_path / "pipe"])
    with pytest.raises(DataError, match="no request log"):
        find_log_files([tmp_path / "gone"])
    result = ReadResult()
    assert list(read_requests([tmp_path / "gone"], "taxi", 7, 0, 1, result)) == []
    assert result.records == {"file removed meanwhile": 1}


def test_a_record_says_what_was_masked(tmp_path: Path) -> None:
    trace = RequestTrace("REST", model="taxi", version=7, signature="serving_raw")
    exchange = Exchange(tmp_path, {"seats": np.array([1]), "id": np.array([5])}, {}, 16)
    mask = ColumnMask(frozenset({"name"}), frozenset({"id"}), b"key", {})
    record = build_log(trace, exchange, mask, 1.0)
    record.log_metadata.timestamp_secs = int(MOMENT)
    (request,), _ = read(write(tmp_path / "log", [record.SerializeToString()]))
    assert request.mask == LoggedMask(frozenset({"name"}), frozenset({"id"}))
