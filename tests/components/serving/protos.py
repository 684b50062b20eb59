"""Protos of tensorflow/serving that tensorflow-serving-api does not ship, declared as its `.proto` files declare them.

`monitoring_config.proto` (tensorflow_serving/config) and `BatchingParameters` of `session_bundle_config.proto`
(tensorflow_serving/servables/tensorflow).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_TYPES = descriptor_pb2.FieldDescriptorProto
_INT64 = ".google.protobuf.Int64Value"


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="taxiway_tests.proto", package="taxiway.tests", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=_TYPES.TYPE_BOOL, label=_TYPES.LABEL_OPTIONAL)
    prometheus.field.add(name="path", number=2, type=_TYPES.TYPE_STRING, label=_TYPES.LABEL_OPTIONAL)
    monitoring = file.message_type.add(name="MonitoringConfig")
    _message(monitoring, "prometheus_config", 1, ".taxiway.tests.PrometheusConfig")
    batching = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(
        ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"), start=1
    ):
        _message(batching, name, number, _INT64)
    return file


def _message(owner: Any, name: str, number: int, kind: str) -> None:
    owner.field.add(name=name, number=number, type=_TYPES.TYPE_MESSAGE, label=_TYPES.LABEL_OPTIONAL, type_name=kind)


def _class(name: str) -> Any:
    pool = descriptor_pool.Default()
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"taxiway.tests.{name}"))


MonitoringConfig = _class("MonitoringConfig")
BatchingParameters = _class("BatchingParameters")
