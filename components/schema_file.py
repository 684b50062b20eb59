"""The raw schema as a file and what Taxiway writes into it: the order of the classes, the kinds of columns.

A class's index is its place in the training data's order; the order must not move when a class is absent from a later
batch. So the schema holds it, as tags of the label's feature, and is judged there. The kinds say how later files
are read: a feature's type does where it can, and a tag where it cannot (an INT is a whole number, a time or a boolean).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

SCHEMA_FILE = "schema.pbtxt"
_TAG = "taxiway.class:"
_KIND_TAG = "taxiway.kind:"
_KINDS = {schema_pb2.INT: "int", schema_pb2.FLOAT: "float", schema_pb2.BYTES: "string"}
"""How a column of a feature's type is read, where no tag says otherwise; see `tables.columns.kinds`."""
_TYPES = {kind: number for number, kind in _KINDS.items()} | dict.fromkeys(("bool", "time"), schema_pb2.INT)


def read_schema(folder: str | Path) -> schema_pb2.Schema:
    """The schema in a folder: of a `Schema` artifact, or the metadata of a transform graph."""
    return text_format.Parse(Path(folder, SCHEMA_FILE).read_text(encoding="utf-8"), schema_pb2.Schema())


def read_class_labels(schema: schema_pb2.Schema, label: str) -> tuple[str, ...]:
    """The label's classes in the order of their indices; empty where the schema does not say."""
    feature = _find_feature(schema, label)
    tags = feature.annotation.tag if feature is not None else ()
    return tuple(tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG))


def set_class_labels(schema: schema_pb2.Schema, label: str, classes: Sequence[str]) -> None:
    """Writes the order of the classes, and the range of their indices, into `schema`."""
    feature = _find_feature(schema, label)
    if feature is None or not classes:
        return
    feature.annotation.tag.extend(f"{_TAG}{name}" for name in classes)
    feature.int_domain.CopyFrom(schema_pb2.IntDomain(min=0, max=len(classes) - 1, is_categorical=True))


def set_column_kinds(schema: schema_pb2.Schema, label: str, kinds: Mapping[str, str]) -> None:
    """Tags the columns whose kind their feature's type does not tell; not the label, which is written as an index."""
    for feature in schema.feature:
        kind = kinds.get(feature.name)
        if kind and feature.name != label and kind != _KINDS.get(feature.type):
            feature.annotation.tag.append(f"{_KIND_TAG}{kind}")


def read_column_kinds(schema: schema_pb2.Schema, label: str) -> dict[str, str]:
    """How the columns of later files are read: kinds by name, of the columns that the schema tells about."""
    return {f.name: _read_kind(f) for f in schema.feature if f.name != label and f.type in _KINDS}


def _read_kind(feature: schema_pb2.Feature) -> str:
    """The tagged kind if it is one of the feature's type: a person may have changed the type and left the tag."""
    of_type = _KINDS[feature.type]
    tags = [tag.removeprefix(_KIND_TAG) for tag in feature.annotation.tag if tag.startswith(_KIND_TAG)]
    return next((kind for kind in tags if _TYPES.get(kind.partition(":")[0]) == feature.type), of_type)


def _find_feature(schema: schema_pb2.Schema, name: str) -> schema_pb2.Feature | None:
    return next((feature for feature in schema.feature if feature.name == name), None)
