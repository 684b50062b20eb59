"""Reads `PredictionLog` records: those of the embedded server, and those of a TensorFlow Serving with a collector."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from taxiway.components.contract import EXAMPLES_INPUT
from taxiway.components.errors import DataError
from taxiway.components.serving.protocol.api_errors import ApiError
from taxiway.components.serving.protocol.limits import Limits
from taxiway.components.serving.protocol.tensor_protos import check_values
from taxiway.components.serving.request_log.file_names import OPEN_SUFFIX, SUFFIX, list_readable_files
from taxiway.components.serving.request_log.logged_mask import LoggedMask, read_mask
from taxiway.components.serving.request_log.record_files import read_whole_records

FOREIGN = "skipped: the folder has files of servers, and this is none by its name; name it with --log to have it read"
CLOCK_SECONDS = 3600.0
"""How far the clock that dates files may be behind the server's."""
OTHERS_NAMED, NAME_SHOWN = 10, 60


@dataclass(frozen=True)
class LoggedRequest:
    """One Predict request and its answer.

    Attributes:
        time: Seconds since 1970; of a record without a time, the last change of its file.
        version: The version that answered.
        sampling_rate: Share of the requests that its log keeps; 0 where the record does not say.
        inputs, outputs: Arrays by alias, as they were logged.
        mask: Columns that were not logged as they were sent; None where the record does not say.
    """

    time: float
    version: int
    sampling_rate: float
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    mask: LoggedMask | None = None


@dataclass
class ReadResult:
    """What a reader came upon.

    Attributes:
        files: Files that were read.
        records: Records by what was done with them: `taken`, `other time`, `other version`, `other model`,
            `no Predict request`, `damaged`, `no version`; and `file removed meanwhile`.
        others: Records of other models and versions, by their names.
        unreadable: Reason by file that was skipped, or not read to its end.
        older: Files that were last changed before the window.
        whole: Files that were read to their end, without a damaged record.
    """

    files: int = 0
    records: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)
    older: int = 0
    whole: int = 0

    def move_to_damaged(self, requests: int) -> None:
        """Counts requests as damaged that were taken, and were found to be so when their values were read."""
        if requests:
            self.records["taken"] -= requests
            self.records["damaged"] += requests

    def check_anything_readable(self) -> None:
        """Raises `DataError` where every file of the window is damaged, and not one record could be read.

        A service that nobody asked in the window has older files, or whole ones without a record.
        """
        damaged = self.records["damaged"]
        broken = {file: why for file, why in self.unreadable.items() if why != FOREIGN}
        if self.records.total() > damaged or self.older or self.whole or not (damaged or broken):
            return
        shown = [f"{file}: {why}" for file, why in list(broken.items())[:3]]
        more = [f"and {len(broken) - 3} more files"] if len(broken) > 3 else []
        records = [f"{damaged:,} records are no PredictionLog, or hold tensors that contradict themselves"] * bool(
            damaged
        )
        raise DataError(
            f"Nothing of the request log can be read. {'; '.join([*shown, *more, *records])}.",
            "It takes TFRecord files of PredictionLog, gzip or not: name others with --log, or move these away.",
        )


def find_log_files(places: Sequence[Path], result: ReadResult | None = None) -> list[Path]:
    """The files that paths mean, each once: files, and the files of servers, or any TFRecords, in folders.

    Args:
        places: The paths.
        result: What is skipped is noted there.

    Raises:
        DataError: There is no such path, or it is neither a file nor a folder.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise DataError(
                f"There is no request log {place}.",
                "Let the server log: serving.request_log.sampling_rate above 0 in the configuration, push, and start "
                "the server again (docs/monitoring.md); or name a file or folder of PredictionLog records with --log.",
            )
        if not place.is_dir() and not place.is_file():
            raise DataError(
                f"{place} is neither a file nor a folder.", "Name a file or folder of PredictionLog records."
            )
        found += _list_folder(place, result or ReadResult()) if place.is_dir() else [place]
    return list({path.resolve(): path for path in found}.values())


def _list_folder(folder: Path, result: ReadResult) -> list[Path]:
    """Those of our servers; where there are none, every file: another program's collector chooses its own names."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    own = list_readable_files(folder)
    if own:
        foreign = set(files) - set(own)
        result.unreadable |= {str(path): FOREIGN for path in files if path in foreign}
    return own or files


def read_requests(
    files: Sequence[Path], model: str, version: int, start: float, end: float, result: ReadResult
) -> Iterator[LoggedRequest]:
    """The Predict requests that a version answered in `[start, end)`.

    Args:
        files: TFRecord files of `PredictionLog`.
        model: Name of the model; a record without a name is of this one.
        version: Number of the version.
        start, end: Seconds since 1970.
        result: Counts, which are added to.
    """
    for listed in files:
        try:
            yield from _read_file(listed, model, version, (start, end), result)
        except FileNotFoundError:
            result.records["file removed meanwhile"] += 1


def _read_file(
    listed: Path, model: str, version: int, window: tuple[float, float], result: ReadResult
) -> Iterator[LoggedRequest]:
    changed, damaged = _find_change(listed), _count_damage(result)
    if changed < window[0] - CLOCK_SECONDS:
        result.older += 1
        return
    for record in _read_records(listed, result):
        read = _read_record(record, model, version, changed, result)
        if not isinstance(read, str) and not window[0] <= read[0] < window[1]:
            read = "other time"
        request = read if isinstance(read, str) else _convert_log(*read)
        if isinstance(request, str):
            result.records[request] += 1
        else:
            result.records["taken"] += 1
            yield request
    result.files += 1
    result.whole += _count_damage(result) == damaged


def _count_damage(result: ReadResult) -> tuple[int, int]:
    return len(result.unreadable), result.records["damaged"]


def _read_records(listed: Path, result: ReadResult) -> Iterator[bytes]:
    """The records of a file, which its server may close, and so rename, until the first of them is read."""
    for last in (False, True):
        file, begun = _find_present(listed), False
        try:
            for record in read_whole_records(file, functools.partial(result.unreadable.__setitem__, str(file))):
                begun = True
                yield record
            return
        except FileNotFoundError:
            if begun or last:
                raise


def _find_change(listed: Path) -> float:
    try:
        return _find_present(listed).stat().st_mtime
    except FileNotFoundError:  # closed this very moment
        return _find_present(listed).stat().st_mtime


def _find_present(file: Path) -> Path:
    """The file, or its final name where its server has closed it since it was listed."""
    if file.exists() or not file.name.endswith(OPEN_SUFFIX):
        return file
    return file.with_name(file.name.removesuffix(OPEN_SUFFIX) + SUFFIX)


def _read_record(
    record: bytes, model: str, version: int, changed: float, result: ReadResult
) -> tuple[float, int, Any] | str:
    """Time, version and message of a wanted record; else what it is."""
    try:
        log = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        return "damaged"
    if log.WhichOneof("log_type") != "predict_log":
        return "no Predict request"
    specs = (log.predict_log.response.model_spec, log.log_metadata.model_spec, log.predict_log.request.model_spec)
    name = next((spec.name for spec in specs if spec.name), model)
    number = next((int(spec.version.value) for spec in specs if spec.HasField("version")), None)
    if name != model:
        _note_other(result, f"model {name[:NAME_SHOWN]!r}")
        return "other model"
    if number is None:
        return "no version"
    if number != version:
        _note_other(result, f"version {number}")
        return "other version"
    return float(log.log_metadata.timestamp_secs or changed), number, log


def _note_other(result: ReadResult, name: str) -> None:
    """Counts a name; those beyond the first few together, as a log may hold any number of them."""
    known = name in result.others or len(result.others) < OTHERS_NAMED
    result.others[name if known else "others"] += 1


def _convert_log(time: float, version: int, log: Any) -> LoggedRequest | str:
    """The request; `damaged` where a tensor is not what its shape says, or tensors differ in their rows."""
    predict = log.predict_log
    try:
        inputs, outputs = (_decode_tensors(protos) for protos in (predict.request.inputs, predict.response.outputs))
    except (ApiError, ValueError, TypeError, OverflowError):
        return "damaged"
    if not _have_same_rows(inputs):
        return "damaged"
    rate = float(log.log_metadata.sampling_config.sampling_rate)
    return LoggedRequest(time, version, rate, inputs, outputs, read_mask(log.log_metadata.saved_model_tags))


def _have_same_rows(inputs: Mapping[str, np.ndarray]) -> bool:
    """Whether the tensors have so many rows as one another, or one value for all of them; examples are a text a row."""
    rows = max((len(values) for values in inputs.values() if np.ndim(values)), default=1)
    texts = inputs.get(EXAMPLES_INPUT)
    if texts is not None and np.size(texts) not in (1, rows):
        return False
    return all(np.ndim(v) == 0 or len(v) == rows or (np.size(v) == 1 and rows) for v in inputs.values())


def _decode_tensors(protos: Any) -> dict[str, np.ndarray]:
    """Arrays by alias. A log from elsewhere is checked as a request is: 60 bytes may say that they are gigabytes."""
    for alias, proto in protos.items():
        check_values(alias, proto, Limits())
    return {alias: tf.make_ndarray(proto) for alias, proto in protos.items()}
