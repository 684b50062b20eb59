"""The raw schema as a file and what Taxiway writes into it: the order of the classes.

A class's index is its place in the training data's order; the order must not move when a class is absent from a later
batch. So it stands in the schema, as tags of the label's feature, and is judged there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

SCHEMA_FILE = "schema.pbtxt"
_TAG = "taxiway.class:"


def read(folder: str | Path) -> schema_pb2.Schema:
    """The schema inside a `Schema` artifact's folder."""
    return text_format.Parse(Path(folder, SCHEMA_FILE).read_text(encoding="utf-8"), schema_pb2.Schema())


def class_labels(schema: schema_pb2.Schema, label: str) -> tuple[str, ...]:
    """The label's classes in the order of their indices; empty where the schema does not say."""
    feature = _feature(schema, label)
    tags = feature.annotation.tag if feature is not None else ()
    return tuple(tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG))


def set_class_labels(schema: schema_pb2.Schema, label: str, classes: Sequence[str]) -> None:
    """Writes the order of the classes, and the range of their indices, into `schema`."""
    feature = _feature(schema, label)
    if feature is None or not classes:
        return
    feature.annotation.tag.extend(f"{_TAG}{name}" for name in classes)
    feature.int_domain.CopyFrom(schema_pb2.IntDomain(min=0, max=len(classes) - 1, is_categorical=True))


def _feature(schema: schema_pb2.Schema, name: str) -> schema_pb2.Feature | None:
    return next((feature for feature in schema.feature if feature.name == name), None)
