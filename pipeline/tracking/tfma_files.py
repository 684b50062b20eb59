"""TFMA's files read without TFMA, whose import costs ten seconds and TensorFlow: metrics, verdict, configuration.

An evaluation's folder holds `metrics-*.tfrecord` and `validations.tfrecord`, records of the messages of
`tensorflow_model_analysis/proto/*.proto`. `tfma.proto` holds the part of them that a run's record needs; `tfma_pb2.py`
is generated from it by a protoc whose code every protobuf runtime from 3.20 to 6 loads.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from taxiway.components.errors import StoreError
from taxiway.pipeline.tracking import tfma_pb2


def read_metrics(uri: str) -> list[Any]:
    """`MetricsForSlice` messages of an evaluation; none where the folder holds none.

    Args:
        uri: Folder of a `ModelEvaluation` artifact.

    Raises:
        StoreError: A file is damaged.
    """
    files = sorted(Path(uri).glob("metrics-*.tfrecord")) or sorted(Path(uri).glob("metrics.tfrecord"))
    return [
        _parse_message(tfma_pb2.MetricsForSlice, record, file) for file in files for record in _read_tfrecords(file)
    ]


def read_validation(uri: str) -> Any:
    """The `ValidationResult` message of an evaluation; None where the Evaluator left none.

    Raises:
        StoreError: The file is damaged.
    """
    file = Path(uri, "validations.tfrecord")
    if not file.is_file():
        return None
    return next((_parse_message(tfma_pb2.ValidationResult, record, file) for record in _read_tfrecords(file)), None)


def read_eval_config(uri: str) -> dict[str, Any]:
    """The `EvalConfig` in its JSON form (camel case); empty where the Evaluator left none."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        content = json.loads(Path(uri, "eval_config.json").read_text(encoding="utf-8"))
        return dict(content.get("evalConfig") or {})
    return {}


def _read_tfrecords(file: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: length, its checksum, content, its checksum."""
    data = file.read_bytes()
    position = 0
    while position < len(data):
        if position + 12 > len(data):
            raise _make_damage_error(file, "it ends in the middle of a record")
        (length,) = struct.unpack_from("<Q", data, position)
        begin, position = position + 12, position + 16 + length
        if position > len(data):
            raise _make_damage_error(file, "it ends in the middle of a record")
        yield data[begin : begin + length]


def _parse_message(message_class: Any, record: bytes, file: Path) -> Any:
    try:
        return message_class.FromString(record)
    except DecodeError as error:
        raise _make_damage_error(file, str(error)) from error


def _make_damage_error(file: Path, why: str) -> StoreError:
    return StoreError(f"{file} is damaged: {why}.", "Run the evaluation again: taxiway run --from Evaluator --no-cache")
