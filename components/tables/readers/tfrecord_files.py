"""TFRecord files of serialized `tf.Example`s as batches of typed columns."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from taxiway.components.errors import DataError
from taxiway.components.tables.columns.kinds import UnsupportedColumnError
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.column_choice import choose_present_columns
from taxiway.components.tables.readers.read_errors import suggest_remedy, take_first_error_line
from taxiway.components.tables.sources.source_file import SourceFile
from taxiway.components.tables.tfx_bsl_private import make_example_decoder


def read_tfrecord(
    file: SourceFile, data: TableConfig, columns: tuple[str, ...] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """Serialized `tf.Example`s; a record that does not parse as one is a bad row, a damaged file an error."""
    import tensorflow as tf  # slow to import, and needed for this format only

    decode_examples = make_example_decoder()
    dataset = tf.data.TFRecordDataset(file.path, compression_type="GZIP" if file.compression == "gzip" else "")
    number = 0
    try:
        for records in dataset.batch(2048).as_numpy_iterator():
            good = _select_examples(list(records), number, file, bad)
            number += len(records)
            if good:
                yield _flatten_batch(decode_examples(good), data, columns, file)
    except tf.errors.OpError as error:
        raise DataError(f"{file.name} is damaged: {take_first_error_line(error)}", suggest_remedy(file)) from error


def _select_examples(records: list[bytes], before: int, file: SourceFile, bad: BadRows) -> list[bytes]:
    """The records that are examples."""
    good = []
    for number, record in enumerate(records, before + 1):
        reason = _explain_invalid_example(record)
        if reason:
            bad.add_row(file.name, number, f"no tf.Example ({reason})", record[:100].decode("utf-8", "replace"))
        else:
            good.append(record)
    return good


def _explain_invalid_example(record: bytes) -> str:
    from google.protobuf.message import DecodeError
    from tensorflow.core.example.example_pb2 import Example

    try:
        return "" if Example.FromString(record).features.feature else "it has no features"
    except DecodeError as error:
        return str(error)


def _flatten_batch(
    batch: pa.RecordBatch, data: TableConfig, columns: tuple[str, ...] | None, file: SourceFile
) -> pa.RecordBatch:
    """Columns of lists with at most one value as columns of values."""
    kept = choose_present_columns(batch.schema.names, data, columns)
    return pa.RecordBatch.from_arrays([_flatten_column(batch, name, file) for name in kept], names=kept)


def _flatten_column(batch: pa.RecordBatch, name: str, file: SourceFile) -> pa.Array:
    index = batch.schema.get_field_index(name)
    column = pa.nulls(batch.num_rows) if index < 0 else batch.column(index)
    if pa.types.is_null(column.type):
        return column
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    if lengths.max(initial=0) > 1:
        raise UnsupportedColumnError(
            f"{file.name}: feature {name!r} holds {lengths.max()} values in one example; a column has one.",
            f"Leave it out (data.leave_out: [{name}]), or write one feature a value.",
            name,
            f"holds {lengths.max()} values in one example",
        )
    positions = lengths.cumsum() - 1
    return column.flatten().take(pa.array(positions, pa.int64(), mask=lengths == 0))
