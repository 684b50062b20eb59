"""The steps of bulk scoring: files to batches of rows, batches to tables with answers, tables to files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.csv
from apache_beam.utils import shared

from taxiway.components.contract import SERVING_RAW
from taxiway.components.errors import DataError
from taxiway.components.saved_models.session import SavedModelSession
from taxiway.components.saved_models.signature_inputs import map_column_dtypes, read_signature_inputs
from taxiway.components.saved_models.tensorflow_private import disable_xla
from taxiway.components.serving.requests import from_examples
from taxiway.components.serving.requests.local_predict import make_trained_reader
from taxiway.components.tables.columns.conversion import convert_values
from taxiway.components.tables.columns.kinds import infer_kind, merge_kinds
from taxiway.components.tables.columns.texts import is_text
from taxiway.components.tables.prediction.row_notes import RowNotes
from taxiway.components.tables.prediction.row_source import RowSource
from taxiway.components.tables.prediction.trained_rows import RawBatch, TrainedReader
from taxiway.components.tables.reading_rules import read_rules
from taxiway.components.tables.sources.source_file import SourceFile

COUNTERS = "taxiway"
_OUTPUT_TYPES = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


def open_trained_reader(folder: str) -> TrainedReader:
    """The reader of rows for the model in a folder."""
    return make_trained_reader(folder, map_column_dtypes(read_signature_inputs(folder)))


def find_files(folder: str, source: str) -> list[SourceFile]:
    """The files that are scored.

    Raises:
        DataError: There are none, or they are of no known format.
    """
    return open_trained_reader(folder).list_source_files(RowSource(path=source))


def read_batches(file: SourceFile, folder: str) -> Iterator[RawBatch]:
    """The rows of one file, as the model's training read rows.

    Raises:
        DataError: It cannot be read.
    """
    yield from open_trained_reader(folder).read_file(file)


class _LoadedModel:
    """Beam holds shared objects weakly, so the model is a value of its own class."""

    def __init__(self, folder: str) -> None:
        disable_xla()
        self.servable = SavedModelSession(folder)
        self.inputs = from_examples.read_model_inputs(folder)
        self._rules, self._dtypes = read_rules(folder), map_column_dtypes(self.inputs)

    def make_reader(self) -> TrainedReader:
        """One for each batch: it counts what it sees."""
        return TrainedReader(self._rules, self._dtypes)


class ScoreRows(beam.DoFn):  # type: ignore[misc]
    """Adds the model's answers to rows. One model a process, whatever the number of threads."""

    def __init__(self, folder: str, kinds: Mapping[str, str]) -> None:
        """Args:
        folder: Folder of the SavedModel.
        kinds: Kinds of the columns that are written, see `find_output_kinds`.
        """
        self._folder, self._kinds = folder, dict(kinds)
        self._shared = shared.Shared()

    def setup(self) -> None:
        self._model = self._shared.acquire(lambda: _LoadedModel(self._folder), self._folder)

    def process(self, batch: RawBatch) -> Iterator[pa.Table]:
        yield self.score_batch(batch, count=True)

    def score_batch(self, batch: RawBatch, *, count: bool) -> pa.Table:
        """The rows as they are written, with the answers."""
        reader = self._model.make_reader()
        columns = {name: array.to_pylist() for name, array in reader.convert_columns(batch).items()}
        feeds = from_examples.build_column_tensors(columns, self._model.inputs)
        table = build_output_table(batch, self._kinds)
        for name, values in self._model.servable.run(SERVING_RAW, feeds).items():
            table = _append_column(table, name, values)
        if count:
            for (what, column), number in reader.notes.counts.items():
                beam.metrics.Metrics.counter(f"{COUNTERS}/{what}", f":{column}").inc(number)  # no name may be empty
        return table


def collect_notes(counters: list[Any]) -> RowNotes:
    """The workers' counters as one."""
    notes = RowNotes()
    for counter in counters:
        place, _, what = counter.key.metric.namespace.partition("/")
        if place == COUNTERS:
            notes.counts[what, counter.key.metric.name.removeprefix(":")] += counter.committed or 0
    return notes


def find_output_kinds(files: list[SourceFile], folder: str) -> dict[str, str]:
    """How the columns of JSON lines are written, whose batches each have types of their own; empty for other formats.

    It reads all of the files: a key may occur in the last line only.
    """
    if files[0].format != "jsonl":
        return {}
    kinds: dict[str, Any] = {}
    for file in files:
        for batch in open_trained_reader(folder).read_file(file):
            for name, array in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                kind = "string" if pa.types.is_nested(array.type) else infer_kind(array, "null", name, file.name)
                typed = kind if not is_text(array.type) else "string"
                kinds[name] = merge_kinds(kinds.get(name, "null"), typed)
    return kinds


def build_output_table(batch: RawBatch, kinds: Mapping[str, str]) -> pa.Table:
    """The rows as they are written: csv's cells as text, JSON's values of one type a column, Parquet's as they are."""
    columns = dict(zip(batch.rows.schema.names, batch.rows.columns, strict=True))
    if kinds:
        rows = batch.rows.num_rows
        return pa.table({name: _cast_kind(columns.get(name, pa.nulls(rows)), kind) for name, kind in kinds.items()})
    return pa.table({name: _cast_text(array) if is_text(array.type) else array for name, array in columns.items()})


def _cast_kind(array: pa.Array, kind: str) -> pa.Array:
    if kind in _OUTPUT_TYPES:
        return convert_values(array, kind)[0].cast(_OUTPUT_TYPES[kind])
    if pa.types.is_null(array.type):
        return array.cast(pa.string())
    return (
        _cast_text(array)
        if is_text(array.type)
        else pa.array([_format_scalar(v) for v in array.to_pylist()], pa.string())
    )


def _format_scalar(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def _cast_text(array: pa.Array) -> pa.Array:
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:  # bytes that are no UTF-8, in a column that the model does not take
        return pa.array([None if v is None else v.decode("utf-8", "replace") for v in array.to_pylist()], pa.string())


def _append_column(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """The table with one more column: a number or text where there is one value a row, else a list."""
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.dtype == np.object_:
        column = pa.array([_decode_text(value) for value in values.tolist()])
    else:
        column = pa.array(values.tolist(), _infer_arrow_type(values))
    return table.append_column(_find_free_name(name, table.column_names), column)


def _infer_arrow_type(values: np.ndarray) -> pa.DataType:
    scalar = pa.from_numpy_dtype(values.dtype)
    return pa.list_(scalar) if values.ndim > 1 else scalar


def _decode_text(value: Any) -> Any:
    return [_decode_text(part) for part in value] if isinstance(value, list) else value.decode("utf-8", "replace")


def _find_free_name(name: str, taken: list[str]) -> str:
    """The output's name, or one beside it where the data has a column of that name."""
    return name if name not in taken else _find_free_name(f"model_{name}", taken)


def build_output_schema(files: list[SourceFile], kinds: Mapping[str, str], folder: str) -> pa.Schema:
    """The schema of what is written: the first file's columns and the model's answers to its first row.

    Raises:
        DataError: There is no row.
    """
    step = ScoreRows(folder, kinds)  # one of its own: a loaded model cannot be sent to a worker
    step.setup()
    first = next((batch for file in files for batch in open_trained_reader(folder).read_file(file)), None)
    if first is None:
        raise DataError(f"There is no row in {files[0].name}.", "Give files with rows below their headers.")
    return step.score_batch(RawBatch(first.rows.slice(0, 1), first.file), count=False).schema


def write_tables(target: Path, schema: pa.Schema) -> beam.PTransform:
    """Writes tables as files that begin with the target's name and end with its suffix."""
    prefix = str(target.with_suffix(""))
    if target.suffix == ".parquet":
        return beam.io.WriteToParquetBatched(prefix, schema, file_name_suffix=".parquet")
    return _WriteCsv(prefix, schema)


class _WriteCsv(beam.PTransform):  # type: ignore[misc]
    def __init__(self, prefix: str, schema: pa.Schema) -> None:
        super().__init__()
        self._prefix, self._schema = prefix, schema

    def expand(self, tables: beam.PCollection) -> Any:
        header = _format_csv(self._schema.empty_table(), header=True).rstrip("\n")
        return (
            tables
            | "Lines" >> beam.Map(lambda table: _format_csv(table, header=False).rstrip("\n"))
            | "Text" >> beam.io.WriteToText(self._prefix, file_name_suffix=".csv", header=header)
        )


def _format_csv(table: pa.Table, header: bool) -> str:
    """Csv text; lists become JSON-like text, since csv has none."""
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = pa.array([str(value) for value in table.column(index).to_pylist()], pa.string())
            table = table.set_column(index, field.name, texts)
    out = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(include_header=header))
    return str(out.getvalue().to_pybytes().decode("utf-8"))
