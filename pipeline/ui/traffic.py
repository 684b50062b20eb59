"""What is known of a served model's traffic: the request log's files, and the monitor's verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.serving.config import REQUEST_LOG_FOLDER
from taxiway.pipeline.monitoring.verdicts import (
    ServingVerdict,
    list_newest_verdicts,
    list_verdict_folders,
    read_verdict,
)
from taxiway.pipeline.root import Root
from taxiway.pipeline.ui.problems import list_or_explain, read_or_explain

VERDICTS_SHOWN, MOST_VERDICTS = 50, 5000
"""On a model's page, without and with `?verdicts=all`."""
HEADER_BYTES, FRAME_BYTES = 12, 16
"""Of a TFRecord: length (8) and its checksum (4) before the data; and with the checksum (4) after it."""
COUNTED_BYTES = 2_000_000_000
"""Records of so many bytes are counted, newest files first: a header is read a record, which takes time."""


@dataclass(frozen=True)
class RequestLogState:
    """The request log of one model.

    Attributes:
        folder: Folder of the files.
        files: Number of files, the one that grows included.
        total_bytes: Their size.
        requests: Logged requests in them; None where the files are too large to count.
        oldest, newest: Times of the last changes of the oldest and newest file, seconds since 1970.
    """

    folder: Path
    files: int
    total_bytes: int
    requests: int | None
    oldest: float
    newest: float


def read_request_log(base: Path) -> RequestLogState | None:
    """The request log in a serving directory; None where there is none."""
    folder = base / REQUEST_LOG_FOLDER
    found = [(path, path.stat()) for path in folder.glob("*.tfrecord*") if path.is_file()] if folder.is_dir() else []
    if not found:
        return None
    total, times = sum(stat.st_size for _, stat in found), [stat.st_mtime for _, stat in found]
    requests = sum(count_records(path) for path, _ in found) if total <= COUNTED_BYTES else None
    return RequestLogState(folder, len(found), total, requests, min(times), max(times))


def count_records(path: Path) -> int:
    """Whole records of a TFRecord file. Lengths alone are read: neither TensorFlow nor the data is needed."""
    return sum(1 for _ in _walk_lengths(path))


def _walk_lengths(path: Path) -> Iterator[int]:
    size = path.stat().st_size
    with open(path, "rb") as file:
        while len(header := file.read(HEADER_BYTES)) == HEADER_BYTES:
            length = int.from_bytes(header[:8], "little")
            end = file.tell() + length + FRAME_BYTES - HEADER_BYTES
            if end > size:
                return
            file.seek(end)
            yield length


@dataclass(frozen=True)
class ShownVerdicts:
    """Verdicts on a model's traffic.

    Attributes:
        shown: The newest ones.
        count: Number of all.
    """

    shown: tuple[ServingVerdict, ...] = ()
    count: int = 0


def read_verdicts(root: Root, model: str, *, every: bool = False) -> tuple[ShownVerdicts, str]:
    """The newest verdicts on a model's traffic, or all, and why they cannot be read (empty where they can)."""

    def read() -> ShownVerdicts:
        verdicts, count = list_newest_verdicts(root, model, MOST_VERDICTS if every else VERDICTS_SHOWN)
        return ShownVerdicts(tuple(verdicts), count)

    return read_or_explain(read, ShownVerdicts())


def read_live_verdict(root: Root, model: str, version: int) -> ServingVerdict | None:
    """The newest verdict on a version; None where there is none, or it cannot be read: its page says why."""
    verdicts, _ = list_or_explain(lambda: list_newest_verdicts(root, model, 1, version)[0])
    return next(iter(verdicts), None)


def find_verdict(root: Root, model: str, verdict_id: str) -> ServingVerdict | None:
    """A verdict; None where there is none of that id.

    Raises:
        StoreError: It is damaged, or of another format version.
    """
    folders = (folder for folder in list_verdict_folders(root, model) if folder.name == verdict_id)
    return next(map(read_verdict, folders), None)
