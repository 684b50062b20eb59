"""The steps of bulk scoring: files to Arrow tables, tables to tables with answers, tables to files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
from apache_beam.io.filesystems import FileSystems
from apache_beam.utils import shared

from components.contract import SERVING_RAW
from components.errors import DataError
from components.serving import requests
from components.serving.rows import check_any_known, convert
from components.serving.servable import Servable, disable_xla
from components.tables import arrow_files


def read_tables(path: str, rows: int) -> Iterator[pa.Table]:
    """The rows of one file in tables of at most `rows` rows.

    Raises:
        DataError: It is no csv, JSON lines or parquet file.
    """
    table = _read(path)
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def _read(path: str) -> pa.Table:
    name = path.lower().removesuffix(".gz")
    with FileSystems.open(path) as stream:
        try:
            if name.endswith(".parquet"):
                return arrow_files.read_table(pa.BufferReader(stream.read()), path)
            if name.endswith((".jsonl", ".json", ".ndjson")):
                return pyarrow.json.read_json(pa.BufferReader(stream.read()))
            if name.endswith((".csv", ".tsv")):
                return _read_csv(stream.read(), "\t" if name.endswith(".tsv") else ",")
        except pa.ArrowException as error:
            raise DataError(f"{path} cannot be read: {error}.", "Correct the file.") from error
    raise DataError(f"{path} is none of .csv, .tsv, .jsonl, .parquet.", "Name the file by what it is.")


def _read_csv(content: bytes, delimiter: str) -> pa.Table:
    """All cells as text: the model says of which type a column is, not the first rows of a file."""
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    header = pyarrow.csv.open_csv(pa.BufferReader(content), parse_options=parse).schema.names
    convert_options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()))
    return pyarrow.csv.read_csv(pa.BufferReader(content), parse_options=parse, convert_options=convert_options)


class _Loaded:
    """Beam holds shared objects weakly, so the model is a value of its own class."""

    def __init__(self, folder: str) -> None:
        disable_xla()
        self.servable = Servable(folder)
        self.inputs = requests.signature_inputs(folder)


class Score(beam.DoFn):  # type: ignore[misc]
    """Adds the model's answers to tables. One model a process, whatever the number of threads."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._shared = shared.Shared()
        self._rows = beam.metrics.Metrics.counter("taxiway", "rows")

    def setup(self) -> None:
        self._model = self._shared.acquire(lambda: _Loaded(self._folder), self._folder)

    def process(self, table: pa.Table) -> Iterator[pa.Table]:
        dtypes = {entry.column: entry.dtype for entry in self._model.inputs.values()}
        rows = table.select([name for name in table.column_names if name in dtypes]).to_pylist()
        check_any_known(rows, dtypes)
        converted = [{column: convert(value, dtypes[column], column) for column, value in row.items()} for row in rows]
        feeds = requests.tensors_from_rows(converted, self._model.inputs)
        for name, values in self._model.servable.run(SERVING_RAW, feeds).items():
            table = _with(table, name, values)
        self._rows.inc(table.num_rows)
        yield table


def _with(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """The table with one more column: a number or text where there is one value a row, else a list."""
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.dtype == np.object_:
        column = pa.array([_text(value) for value in values.tolist()])
    else:
        column = pa.array(values.tolist(), _arrow(values))
    return table.append_column(_free(name, table.column_names), column)


def _arrow(values: np.ndarray) -> pa.DataType:
    scalar = pa.from_numpy_dtype(values.dtype)
    return pa.list_(scalar) if values.ndim > 1 else scalar


def _text(value: Any) -> Any:
    return [_text(part) for part in value] if isinstance(value, list) else value.decode("utf-8", "replace")


def _free(name: str, taken: list[str]) -> str:
    """The output's name, or one beside it where the data has a column of that name."""
    return name if name not in taken else _free(f"model_{name}", taken)


def output_schema(path: str, folder: str) -> pa.Schema:
    """The schema of what is written: the first file's columns and the model's answers to its first row."""
    table = _read(path).slice(0, 1)
    step = Score(folder)
    step.setup()
    (scored,) = step.process(table)
    return scored.schema


def write(target: Path, schema: pa.Schema) -> beam.PTransform:
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
        header = _csv(self._schema.empty_table(), header=True).rstrip("\n")
        return (
            tables
            | "Lines" >> beam.Map(lambda table: _csv(table, header=False).rstrip("\n"))
            | "Text" >> beam.io.WriteToText(self._prefix, file_name_suffix=".csv", header=header)
        )


def _csv(table: pa.Table, header: bool) -> str:
    """Csv text; lists become JSON-like text, since csv has none."""
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = pa.array([str(value) for value in table.column(index).to_pylist()], pa.string())
            table = table.set_column(index, field.name, texts)
    out = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(include_header=header))
    return str(out.getvalue().to_pybytes().decode("utf-8"))
