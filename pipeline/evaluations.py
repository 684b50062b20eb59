"""TFMA's files read without TFMA, whose import costs ten seconds and TensorFlow: metrics, verdict, configuration.

An evaluation's folder holds `metrics-*.tfrecord` and `validations.tfrecord`, records of the messages of
`tensorflow_model_analysis/proto/*.proto`. Here stands the part of them that a run's record needs, by field number:
numbers of a published protocol buffer never change their meaning.
"""

from __future__ import annotations

import contextlib
import functools
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from components.errors import StoreError

_PACKAGE = "taxiway.tfma"
_SCALARS = {"double": 1, "float": 2, "int64": 3, "int32": 5, "bool": 8, "string": 9, "bytes": 12}

# Message: field -> (number, type; a trailing + for repeated, a ? for a member of the message's oneof).
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Double": {"value": (1, "double")},
    "SingleSliceKey": {
        "column": (1, "string"),
        "bytes_value": (2, "bytes?"),
        "float_value": (3, "float?"),
        "int64_value": (4, "int64?"),
    },
    "SliceKey": {"single_slice_keys": (1, "SingleSliceKey+")},
    "SubKey": {},
    "MetricKey": {
        "name": (1, "string"),
        "sub_key": (3, "SubKey"),
        "model_name": (4, "string"),
        "is_diff": (5, "bool"),
    },
    "Bounded": {"value": (3, "Double")},
    "MetricValue": {"double_value": (1, "Double?"), "bounded_value": (2, "Bounded?")},
    "KeyAndValue": {"key": (1, "MetricKey"), "value": (2, "MetricValue")},
    "MetricsForSlice": {"slice_key": (1, "SliceKey"), "metric_keys_and_values": (51, "KeyAndValue+")},
    "ValueThreshold": {"lower_bound": (1, "Double"), "upper_bound": (2, "Double")},
    "ChangeThreshold": {"absolute": (1, "Double"), "relative": (2, "Double")},
    "Threshold": {"value_threshold": (1, "ValueThreshold"), "change_threshold": (2, "ChangeThreshold")},
    "Failure": {
        "metric_key": (1, "MetricKey"),
        "metric_threshold": (2, "Threshold"),
        "metric_value": (3, "MetricValue"),
        "message": (4, "string"),
    },
    "FeatureValue": {"key": (1, "string"), "value": (2, "string")},
    "SlicingSpec": {"feature_keys": (1, "string+"), "feature_values": (2, "FeatureValue+")},
    "SlicingDetails": {"num_matching_slices": (2, "int32")},
    "ValidationDetails": {"slicing_details": (1, "SlicingDetails+")},
    "ValidationForSlice": {"slice_key": (2, "SliceKey"), "failures": (3, "Failure+")},
    "ValidationResult": {
        "validation_ok": (1, "bool"),
        "metric_validations_per_slice": (2, "ValidationForSlice+"),
        "missing_slices": (3, "SlicingSpec+"),
        "validation_details": (4, "ValidationDetails"),
    },
}


def metrics(uri: str) -> list[Any]:
    """`MetricsForSlice` messages of an evaluation; none where the folder holds none.

    Args:
        uri: Folder of a `ModelEvaluation` artifact.

    Raises:
        StoreError: A file is damaged.
    """
    files = sorted(Path(uri).glob("metrics-*.tfrecord")) or sorted(Path(uri).glob("metrics.tfrecord"))
    return [_parsed("MetricsForSlice", record, file) for file in files for record in _records(file)]


def validation(uri: str) -> Any:
    """The `ValidationResult` message of an evaluation; None where the Evaluator left none.

    Raises:
        StoreError: The file is damaged.
    """
    file = Path(uri, "validations.tfrecord")
    if not file.is_file():
        return None
    return next((_parsed("ValidationResult", record, file) for record in _records(file)), None)


def config(uri: str) -> dict[str, Any]:
    """The `EvalConfig` in its JSON form (camel case); empty where the Evaluator left none."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        content = json.loads(Path(uri, "eval_config.json").read_text(encoding="utf-8"))
        return dict(content.get("evalConfig") or {})
    return {}


def _records(file: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: length, its checksum, content, its checksum."""
    data = file.read_bytes()
    position = 0
    while position < len(data):
        if position + 12 > len(data):
            raise _damaged(file, "it ends in the middle of a record")
        (length,) = struct.unpack_from("<Q", data, position)
        begin, position = position + 12, position + 16 + length
        if position > len(data):
            raise _damaged(file, "it ends in the middle of a record")
        yield data[begin : begin + length]


def _parsed(name: str, record: bytes, file: Path) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return message(name).FromString(record)
    except DecodeError as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, why: str) -> StoreError:
    return StoreError(f"{file} is damaged: {why}.", "Run the evaluation again: taxiway run --from Evaluator --no-cache")


@functools.cache
def message(name: str) -> Any:
    """The class of a message of `_MESSAGES`."""
    found = _pool().FindMessageTypeByName(f"{_PACKAGE}.{name}")
    newer = getattr(message_factory, "GetMessageClass", None)  # protobuf 4.22 and later
    return newer(found) if newer else message_factory.MessageFactory(_pool()).GetPrototype(found)


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="taxiway/tfma.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        if any(kind.endswith("?") for _, kind in fields.values()):
            described.oneof_decl.add(name="kind" if name == "SingleSliceKey" else "type")
        for field, (number, kind) in fields.items():
            _describe(described.field.add(name=field, number=number), kind)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _describe(field: Any, kind: str) -> None:
    field.label = 3 if kind.endswith("+") else 1
    if kind.endswith("?"):
        field.oneof_index = 0
    plain = kind.rstrip("+?")
    if plain in _SCALARS:
        field.type = _SCALARS[plain]
    else:
        field.type, field.type_name = 11, f".{_PACKAGE}.{plain}"
