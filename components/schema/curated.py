"""The curated schema: inferred once, written beside the configuration, imported ever after.

A schema that is inferred from the batch that it judges finds no anomaly. So the first run infers it (from the training
split, then widened to take in the other splits), and every later run is judged by the file that the first run left, as
the user has curated it since.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from taxiway.components import schema_file
from taxiway.components.errors import DataError
from taxiway.components.files.durable_files import replace_file
from taxiway.components.files.regular_files import check_regular_file
from taxiway.components.schema.location import format_owner_line
from taxiway.components.stack_seam import is_repeated

RARE_VALUES_FRACTION = 0.05
"""Share of a text column's values that may be unknown before the gate stops the run; the model has OOV buckets."""

_MARK = "# taxiway-inferred: sha256:"
_ORIGIN = "# taxiway-inferred-from: "
_HEADER = (
    "# Inferred by Taxiway from the first run's statistics. Curate it and commit it: later runs are judged by it.\n"
    "# The next line tells Taxiway that nobody has edited the file yet.\n"
)


def infer_schema(
    statistics: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList],
    label: str = "",
    classes: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
) -> schema_pb2.Schema:
    """The schema of these statistics, by split name; `train` first, widened to take in the others.

    Args:
        statistics: TFDV's, by split name.
        label: The label's column.
        classes: The label's classes in the order of their indices, which the schema fixes.
        kinds: The kinds by which the columns were read, which the schema fixes too.
    """
    import tensorflow_data_validation as tfdv  # brings TensorFlow

    schema = tfdv.infer_schema(statistics["train"], infer_feature_shape=False)
    for split in sorted(set(statistics) - {"train"}):
        schema = tfdv.update_schema(schema, statistics[split], infer_feature_shape=False)
    for feature in schema.feature:
        if feature.HasField("domain") or feature.HasField("string_domain"):
            feature.distribution_constraints.min_domain_mass = 1 - RARE_VALUES_FRACTION
    schema_file.set_class_labels(schema, label, classes)
    schema_file.set_column_kinds(schema, label, kinds or {})
    return schema


def format_schema(schema: schema_pb2.Schema, configuration: str = "", fingerprint: str = "", label: str = "") -> str:
    """The file's text, marked as inferred for `configuration` from the data of that fingerprint, and not yet edited."""
    body = text_format.MessageToString(schema, as_utf8=True)
    origin = (
        f"{_ORIGIN}{fingerprint} {_hash_kinds(schema_file.read_column_kinds(schema, label))}\n" if fingerprint else ""
    )
    return f"{format_owner_line(configuration)}{origin}{_HEADER}{_MARK}{_hash_text(body)}\n{body}"


def derive_reading_rules(path: Path | None, label: str) -> dict[str, Any]:
    """How ExampleGen is to read the columns that the curated schema tells about; empty where there is none yet.

    Returns:
        `kinds` by column, and `inferred_from`, the fingerprint of the data that these very kinds were inferred
        from, or empty. That data is read the same without them, so that what the first run computed still holds.

    Raises:
        DataError: the file is no schema.
    """
    if path is None or not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    kinds = schema_file.read_column_kinds(parse_schema(text, str(path)), label)
    origin = next((line.removeprefix(_ORIGIN) for line in text.splitlines() if line.startswith(_ORIGIN)), "")
    fingerprint, _, digest = origin.partition(" ")
    inferred_from = fingerprint if digest.strip() == _hash_kinds(kinds) else ""
    return {"kinds": kinds, "inferred_from": inferred_from}


def _hash_kinds(kinds: Mapping[str, str]) -> str:
    return _hash_text(json.dumps(kinds, sort_keys=True))[:16]


def parse_schema(text: str, where: str) -> schema_pb2.Schema:
    """Parses a curated file.

    Raises:
        DataError: the text is no schema; the message has the line.
    """
    try:
        schema = text_format.Parse(text, schema_pb2.Schema())
        _refuse_nan(schema)
        return schema
    except (text_format.ParseError, RecursionError) as error:
        raise DataError(
            f"{where} is not a schema in protobuf text format: {error}",
            "Mend the file, or delete it and let the next run infer it again.",
        ) from error


def _refuse_nan(message: Any) -> None:
    """Refuses NaN, which compares with nothing: a bound of NaN would judge no value."""
    for field, value in message.ListFields():
        values = value if is_repeated(field) else [value]
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in values:
                _refuse_nan(inner)
        elif field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE) and any(math.isnan(v) for v in values):
            raise text_format.ParseError(f"{field.full_name.rpartition('.')[2]} is NaN, which is no number.")


def read_edited_text(path: Path | None) -> str:
    """The file's text if a person has edited it; empty where there is no file, or as the first run left it.

    It is the execution property that makes an edit of the schema a cache miss. An unedited file must not be one: the
    run that wrote it had no file, and what it computed still holds.
    """
    if path is None or not path.exists():
        return ""
    check_regular_file(path, DataError)
    text = path.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith(_MARK):
            body = text.split(line + "\n", 1)[-1]
            return "" if line.removeprefix(_MARK).strip() == _hash_text(body) else text
    return text


def write_if_absent(path: Path, text: str) -> bool:
    """Writes the file unless there is one; whole or not at all. Returns whether it wrote."""
    if path.exists():
        return False
    replace_file(path, text)
    return True


def _hash_text(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
