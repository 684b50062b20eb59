"""Files of the request log: closed by size and age, bounded in number, whole after a crash."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from taxiway.components.files.tfrecord_files import NOT_TFRECORD
from taxiway.components.serving.config import RequestLogConfig
from taxiway.components.serving.request_log import record_files
from taxiway.components.serving.request_log.file_names import OPEN_SUFFIX, list_files
from taxiway.components.serving.request_log.record_files import RecordFiles


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def read(path: Path) -> list[bytes]:
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def test_a_file_is_closed_at_its_size_and_the_oldest_goes(tmp_path: Path) -> None:
    clock = Clock()
    files = RecordFiles(tmp_path, RequestLogConfig(file_mb=0.001, files_kept=3), clock)
    for number in range(12):  # 416 bytes each with the frame: three to a file
        clock.now += 1
        files.write(bytes([number]) * 400)
    assert [[record[0] for record in read(path)] for path in list_files(tmp_path)] == [
        [3, 4, 5],
        [6, 7, 8],
        [9, 10, 11],
    ]
    assert not list(tmp_path.glob(f"*{OPEN_SUFFIX}"))


def test_a_file_is_closed_at_its_age_also_without_requests(tmp_path: Path) -> None:
    clock = Clock()
    files = RecordFiles(tmp_path, RequestLogConfig(file_minutes=2), clock)
    files.write(b"first")
    clock.now += 119
    files.close_if_old()
    assert list_files(tmp_path) == []
    clock.now += 1
    files.close_if_old()
    assert [read(path) for path in list_files(tmp_path)] == [[b"first"]]
    assert list_files(tmp_path)[0].name.startswith("20270115T080000.000000Z-")


def leave_open(folder: Path) -> Path:
    """A file with three records, of a server that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = folder / f"20270115T080000.000000Z-{socket.gethostname()}-{ended.pid}{OPEN_SUFFIX}"
    with tf.io.TFRecordWriter(str(left)) as writer:
        for record in (b"one", b"two", b"three"):
            writer.write(record)
    return left


@pytest.mark.parametrize("cut", [0, 3, 21])
def test_what_an_ended_server_left_open_is_closed_up_to_its_last_whole_record(tmp_path: Path, cut: int) -> None:
    left = leave_open(tmp_path)
    left.write_bytes(left.read_bytes()[: left.stat().st_size - cut])
    RecordFiles(tmp_path, RequestLogConfig())
    assert [read(path) for path in list_files(tmp_path)] == [[b"one", b"two", b"three"][: 3 if cut == 0 else 2]]
    assert [path.name for path in tmp_path.iterdir()] == [left.name.removesuffix(".open")]


def test_of_what_was_left_open_nothing_is_deleted_that_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = leave_open(tmp_path)
    content, closed = left.read_bytes(), left.with_name(left.name.removesuffix(".open"))
    flipped = bytearray(content)
    flipped[-6] ^= 1
    terabyte = (1 << 45).to_bytes(8, "little") + bytes(4)

    def check_kept(found: bytes, why: str) -> None:
        left.write_bytes(found)
        RecordFiles(tmp_path, RequestLogConfig())
        assert [path.name for path in tmp_path.iterdir()] == [closed.name] and closed.read_bytes() == found
        assert why in caplog.messages[-1]

    check_kept(bytes(flipped), "its record 3 is damaged")
    check_kept(content[:19] + terabyte + content[19:], "a record of 35,184,372,088,832 bytes is damage")
    check_kept(terabyte + content, NOT_TFRECORD)
    for error, why in (
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (tf.errors.UnavailableError(None, None, "away"), "UnavailableError"),
    ):
        monkeypatch.setattr(record_files, "is_gzip", functools.partial(fail_with, error))
        check_kept(content, f"it cannot be read ({why})")


def fail_with(error: Exception, _: Path) -> bool:
    raise error


def test_what_was_left_open_without_a_whole_record_goes(tmp_path: Path) -> None:
    for size in (0, 5, 15):
        left = leave_open(tmp_path)
        left.write_bytes(left.read_bytes()[:size])
        RecordFiles(tmp_path, RequestLogConfig())
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        f"20270115T080000.000000Z-{socket.gethostname()}-{os.getppid()}{OPEN_SUFFIX}",
        f"20270115T080000.000000Z-another-host-1{OPEN_SUFFIX}",
        f"notes{OPEN_SUFFIX}",
        "rows.tfrecord",
    ],
)
def test_files_of_running_servers_and_of_others_are_left_alone(tmp_path: Path, name: str) -> None:
    """Another host's servers cannot be asked here, where a serving directory is shared."""
    other = tmp_path / name
    other.write_bytes(b"")
    RecordFiles(tmp_path, RequestLogConfig(files_kept=1))
    assert other.exists() and list_files(tmp_path) == []
