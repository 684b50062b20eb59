"""A row asked for is the row that was learned: for every format, the reader's columns equal the written examples."""

from __future__ import annotations

import csv
import datetime
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.contract import READING_RULES_FILE
from components.errors import DataError, ServingError
from components.example_gen.config import DataConfig, LabelConfig
from components.example_gen.ingest import ingest
from components.tables.column_names import trained_names
from components.tables.rules import RULES_FILE, ReadingRules, read_rules
from components.tables.trained_rows import RowSource, TrainedReader
from tests.components.example_gen.rows import read_split

KINDS = ("int", "float", "bool", "text", "time")
DTYPES = {"int": "int64", "bool": "int64", "time": "int64", "float": "float32", "string": "string"}
WORDS = ("NA", "null", "True", "false", "0x1F", "", "7", "1,5", "2024-01-01", "None", 'say "x"', "a;b", "inf", "ünïcode")
NAMES = (" padded ", "größe", "a,b", "x.y", "self", "", "when", "Fare (USD)", "\t tab", "categories")
FORMATS = ("csv", "parquet", "jsonl")

Table = dict[str, list[Any]]


def values(kind: str) -> st.SearchStrategy[Any]:
    """Values of a column, none of them missing."""
    if kind == "int":
        return st.integers(-(2**53), 2**53) | st.integers(0, 3)
    if kind == "float":
        return st.floats(-3e38, 3e38, allow_nan=False, width=64) | st.sampled_from([0.1, 1e-40, 16777217.0])
    if kind == "bool":
        return st.booleans()
    if kind == "time":
        return st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)).map(
            lambda t: t.replace(microsecond=0)
        )
    letters = st.characters(min_codepoint=32, max_codepoint=255, blacklist_categories=("Cc", "Cs"))
    return st.sampled_from(WORDS) | st.text(letters, min_size=1, max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Table, dict[str, str]]:
    """Columns of every kind under odd names, with missing values everywhere, and the kind of each."""
    kinds = [*KINDS, *draw(st.lists(st.sampled_from(KINDS), max_size=3))]
    names = draw(st.permutations(NAMES))[: len(kinds)]
    rows = draw(st.integers(3, 8))
    table: Table = {"id": list(range(rows))}
    for name, kind in zip(names, kinds, strict=True):
        some = st.none() | values(kind)
        first = st.just("word") if kind == "text" else values(kind)
        table[name] = [draw(first), *(draw(some) for _ in range(rows - 1))]
    table["y"] = [i % 2 for i in range(rows)]
    return table, {name.strip(): kind for name, kind in zip(names, kinds, strict=True)}


def rows_of(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def write_table(path: Path, table: Table, dialect: dict[str, str]) -> Path:
    """Writes a table in the format that the name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(table), path)
    elif path.suffix == ".jsonl":
        lines = (json.dumps(row, default=lambda v: v.isoformat()) for row in rows_of(table))
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=dialect["delimiter"], lineterminator="\n", quotechar=dialect["quote"])
        writer.writerow(table)
        writer.writerows([["" if v is None else _cell(v) for v in row] for row in zip(*table.values(), strict=True)])
        path.write_bytes(out.getvalue().encode(dialect["encoding"]))
    return path


def _cell(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


def learned(folder: Path) -> dict[int, dict[str, Any]]:
    """The examples' features by the row's id, a missing one absent."""
    examples = [row for split in ("train", "eval") for row in read_split(folder, split)]
    return {row["id"]: {name: v for name, v in row.items() if v is not None and name != "y"} for row in examples}


def asked(reader: TrainedReader, source: RowSource) -> dict[int, dict[str, Any]]:
    found = {}
    for batch in reader.batches(source):
        columns = {name: array.to_pylist() for name, array in reader.columns(batch).items()}
        for i, number in enumerate(columns["id"]):
            row = {name: cells[i] for name, cells in columns.items() if cells[i] is not None}
            found[number] = {n: v.decode() if isinstance(v, bytes) else v for n, v in row.items()}
    return found


def train(path: Path, folder: Path, **data: Any) -> ReadingRules:
    """Ingests a file, and returns the rules from the file that was written."""
    ingest(DataConfig(path=str(path), **data), LabelConfig(column="y"), str(folder))
    return ReadingRules.model_validate_json((folder / RULES_FILE).read_text(encoding="utf-8"))


def inputs_of(rules: ReadingRules) -> dict[str, str]:
    """What a model would take that is trained on all columns but the label."""
    direct = {n: DTYPES[kind.partition(":")[0]] for n, kind in rules.kinds.items() if n != "y"}
    made = {f"{n}_{part}": "int64" for n, parts in rules.table["calendar"].items() for part in parts}
    return {**direct, **made}


DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;|\t"),
        "quote": st.sampled_from("\"'"),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
    }
)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=tables(), dialect=DIALECTS)
def test_every_row_is_read_as_it_was_learned(name: str, made: Any, dialect: Any, tmp_path_factory: Any) -> None:
    table, kinds = made
    folder = tmp_path_factory.mktemp("rows")
    path = write_table(folder / f"t.{name}", table, dialect)
    encoding = dialect["encoding"].removesuffix("-sig")
    # JSON lines and Parquet have no empty header; csv's becomes `unnamed_N`.
    shown = {n if n.strip() else f"unnamed_{list(table).index(n)}" if name == "csv" else n for n in table} - {"id", "y"}
    times = [n for n in (s.strip() if name == "csv" else s for s in shown) if kinds.get(n.strip()) == "time"]
    times += [n for n in shown if n.startswith("unnamed_") and kinds.get("") == "time"]
    rules = train(
        path,
        folder / "out",
        csv={"delimiter": dialect["delimiter"], "quote": dialect["quote"], "encoding": encoding},
        types=dict.fromkeys(times, "time"),
        calendar=dict.fromkeys(times, ["month", "day", "weekday", "hour", "minute"]),
    )
    expected = learned(folder / "out")
    reader = TrainedReader(rules, inputs_of(rules))
    assert asked(reader, RowSource(path=str(path))) == expected
    assert reader.sentences("Version 1") == []
    given_rows = [
        {n: v.isoformat() if isinstance(v, datetime.datetime) else v for n, v in row.items()} for row in rows_of(table)
    ]
    assert asked(TrainedReader(rules, inputs_of(rules)), RowSource(given=given_rows)) == expected
