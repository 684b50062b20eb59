"""Raw rows as the record batches that TFT analyzes and transforms, in the types of the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from taxiway.components.errors import DataError
from taxiway.components.tables.examples.judged_rows import choose_batch_rows
from taxiway.components.tables.examples.shards import find_shard, read_shard


def make_row_format(schema: schema_pb2.Schema) -> Any:
    """The TFXIO of `tf.Example`s of a schema: what names and types of tensors, and of Arrow columns, they have.

    Its files are never read: `read_raw_batches` reads them, from their columnar copies where there are any.
    """
    return tfxio.TFExampleRecord(file_pattern="-", schema=schema, telemetry_descriptors=["taxiway"])


def read_raw_batches(path: str, arrow_schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of one file of examples, in order, in batches of exactly these columns.

    Raises:
        DataError: the file is damaged, or a column has values of another type than the schema says.
    """
    for batch in read_shard(find_shard(path), arrow_schema.names, choose_batch_rows(path)):
        arrays = [_find_column(batch, field, path) for field in arrow_schema]
        yield pa.RecordBatch.from_arrays(arrays, schema=arrow_schema)


def _find_column(batch: pa.RecordBatch, field: pa.Field, path: str) -> pa.Array:
    index = batch.schema.get_field_index(field.name)
    column = None if index < 0 else batch.column(index)
    if column is None or pa.types.is_null(column.type):
        return pa.nulls(batch.num_rows, field.type)
    if column.type == field.type:
        return column
    if pa.types.is_null(column.type.value_type) or column.null_count == len(column):
        return pa.nulls(batch.num_rows, field.type)
    if not _is_text(column.type.value_type) and not _is_text(field.type.value_type):
        return _refuse_type(column, field, path)
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _refuse_type(column, field, path)


def _is_text(value_type: pa.DataType) -> bool:
    return bool(pa.types.is_binary(value_type) or pa.types.is_large_binary(value_type))


def _refuse_type(column: pa.Array, field: pa.Field, path: str) -> pa.Array:
    raise DataError(
        f"The column {field.name!r} of {path} has values of the type {column.type.value_type}, the schema says "
        f"{field.type.value_type}.",
        "Mend the schema or the data, then run again.",
    )
