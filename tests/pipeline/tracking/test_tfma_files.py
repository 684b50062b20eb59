"""The messages that TFMA's files are read with: generated from tfma.proto, a subset of TFMA's own."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2, validation_result_pb2

from taxiway.components.stack_seam import is_repeated
from taxiway.pipeline.tracking import tfma_files, tfma_pb2

PROTO = Path(tfma_files.__file__).with_name("tfma.proto")
OURS = tfma_pb2.DESCRIPTOR.message_types_by_name
TOKENS = re.compile(r"(message|oneof) (\w+) \{|(repeated )?(\w+) (\w+) = (\d+);|(\})")
TYPES = {
    "double": FieldDescriptor.TYPE_DOUBLE,
    "float": FieldDescriptor.TYPE_FLOAT,
    "int64": FieldDescriptor.TYPE_INT64,
    "int32": FieldDescriptor.TYPE_INT32,
    "bool": FieldDescriptor.TYPE_BOOL,
    "string": FieldDescriptor.TYPE_STRING,
    "bytes": FieldDescriptor.TYPE_BYTES,
}


def read_proto():
    """Message to its fields as `{name: (number, type, repeated, oneof)}`, as tfma.proto says."""
    messages, fields, oneof = {}, {}, None
    for block, block_name, repeated, kind, name, number, end in TOKENS.findall(PROTO.read_text()):
        if block == "message":
            fields = messages[block_name] = {}
        elif block or end:
            oneof = block_name or None
        else:
            fields[name] = (int(number), kind, bool(repeated), oneof)
    return messages


def describe_field(field):
    kind = next((name for name, number in TYPES.items() if number == field.type), None)
    repeated = is_repeated(field)
    oneof = field.containing_oneof.name if field.containing_oneof else None
    return field.number, kind or field.message_type.name, repeated, oneof


def test_the_generated_code_is_that_of_the_proto():
    generated = {
        name: {field.name: describe_field(field) for field in message.fields} for name, message in OURS.items()
    }
    assert len(generated) == 19
    assert generated == read_proto()


THEIRS = {
    "MetricsForSlice": metrics_for_slice_pb2.MetricsForSlice,
    "ValidationResult": validation_result_pb2.ValidationResult,
    "SlicingSpec": config_pb2.SlicingSpec,
}


@pytest.mark.parametrize("name", THEIRS)
def test_numbers_and_types_are_tfmas(name):
    compare_messages(OURS[name], THEIRS[name].DESCRIPTOR)


def compare_messages(ours, theirs):
    """Every field of ours is on the wire what TFMA's field of that number is, down to the last message."""
    for field in ours.fields:
        other = theirs.fields_by_number[field.number]
        if ours.name == "FeatureValue":  # an entry of a map: its fields have no other names
            assert (field.type, is_repeated(field)) == (other.type, is_repeated(other))
            continue
        if field.message_type and field.message_type.name == "Double":
            assert other.message_type.full_name == "google.protobuf.DoubleValue"
            continue
        assert (field.name, field.type, is_repeated(field)) == (other.name, other.type, is_repeated(other)), ours.name
        if field.message_type:
            compare_messages(field.message_type, other.message_type)
