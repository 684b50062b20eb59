"""Prediction reads a row as training read it: for every format, the reader's columns equal the written examples."""

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
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from taxiway.components.contract import READING_RULES_FILE
from taxiway.components.errors import DataError, ServingError
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import ingest_data
from taxiway.components.tables.column_names import match_trained_names
from taxiway.components.tables.prediction.row_source import RowSource
from taxiway.components.tables.prediction.trained_rows import TrainedReader
from taxiway.components.tables.reading_rules import RULES_FILE, ReadingRules, read_rules
from tests.components.example_gen.rows import read_split

KINDS = ("int", "float", "bool", "text", "time")
DTYPES = {"int": "int64", "bool": "int64", "time": "int64", "float": "float32", "string": "string"}
WORDS = (
    "NA",
    "null",
    "True",
    "false",
    "0x1F",
    "",
    "7",
    "1,5",
    "2024-01-01",
    "None",
    'say "x"',
    "a;b",
    "inf",
    "ünïcode",
)
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
    for batch in reader.read_batches(source):
        columns = {name: array.to_pylist() for name, array in reader.convert_columns(batch).items()}
        for i, number in enumerate(columns["id"]):
            row = {name: cells[i] for name, cells in columns.items() if cells[i] is not None}
            found[number] = {n: v.decode() if isinstance(v, bytes) else v for n, v in row.items()}
    return found


def train(path: Path, folder: Path, **data: Any) -> ReadingRules:
    """Ingests a file, and returns the rules from the file that was written."""
    ingest_data(DataConfig(path=str(path), **data), LabelConfig(column="y"), str(folder))
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
# Without shrinking: each example is a whole ingestion, and the table that fails is small anyhow.
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
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
        calendar={time: ["month", "day", "weekday", "hour", "minute"] for time in times},
    )
    expected = learned(folder / "out")
    reader = TrainedReader(rules, inputs_of(rules))
    assert asked(reader, RowSource(path=str(path))) == expected
    assert reader.describe_rows() == []
    given_rows = [
        {n: v.isoformat() if isinstance(v, datetime.datetime) else v for n, v in row.items()} for row in rows_of(table)
    ]
    assert asked(TrainedReader(rules, inputs_of(rules)), RowSource(given=given_rows)) == expected


def test_cells_are_trimmed_in_every_format_where_training_trimmed_its_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id, word, y\n" + "".join(f"{i}, {w} , {i % 2}\n" for i, w in enumerate(["anna", "NA", "bo"] * 4)))
    rules = train(path, tmp_path / "out", csv={"trim": True})
    expected = learned(tmp_path / "out")
    assert expected[0]["word"] == "anna" and "word" not in expected[1]
    rows = [{"id": i, "word": f" {w} "} for i, w in enumerate(["anna", "NA", "bo"] * 4)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    reader = TrainedReader(rules, inputs_of(rules))
    for source in (
        RowSource(given=rows),
        *(RowSource(path=str(tmp_path / f"rows.{end}")) for end in ("jsonl", "parquet")),
    ):
        assert asked(reader, source) == expected
    assert reader.describe_rows() == [], "no word is unseen"


# ---- one rule at a time, on rules written by hand ----

RULES = ReadingRules(
    format="csv",
    table={"csv": {"delimiter": ";", "null_values": ["", "NA", "?"]}, "calendar": {"when": ["month", "hour"]}},
    kinds={
        "fare": "float", "seats": "int", "flags": "string", "member": "string", "when": "time", "unnamed_5": "int",
        "y": "int",
    },
    label="y",
    words={"member": {"words": ["3cbc87c7", "60a33e6c"], "unseen_share": 0.25}},
)  # fmt: skip
INPUTS = {
    "fare": "float32", "seats": "int64", "flags": "string", "member": "string", "when_month": "int64",
    "when_hour": "int64", "unnamed_5": "int64",
}  # fmt: skip


def read_given(*rows: dict[str, Any], rules: ReadingRules | None = RULES) -> tuple[dict[str, list[Any]], list[str]]:
    reader = TrainedReader(rules, INPUTS)
    (batch,) = reader.read_batches(RowSource(given=rows))
    columns = {name: array.to_pylist() for name, array in reader.convert_columns(batch).items()}
    return columns, reader.describe_rows("Version 7 carries none")


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ({"fare": "?"}, "fare", None),
        ({"fare": "NA"}, "fare", None),
        ({"fare": ""}, "fare", None),
        ({"fare": float("nan")}, "fare", None),
        ({"fare": "inf"}, "fare", None),
        ({"fare": " 2.5"}, "fare", 2.5),
        ({"fare": 0.1}, "fare", 0.10000000149011612),
        ({" fare ": 1}, "fare", 1.0),
        ({"seats": "3.0"}, "seats", 3),
        ({"seats": 3.0}, "seats", 3),
        ({"seats": "9007199254740993"}, "seats", 2**53 + 1),
        ({"flags": "0x1F"}, "flags", b"0x1F"),
        ({"flags": 31}, "flags", b"31"),
        ({"flags": ""}, "flags", None),
        ({"member": True}, "member", b"True"),
        ({"member": "True"}, "member", b"True"),
        ({"member": "true"}, "member", b"True"),
        ({"member": False}, "member", b"False"),
        ({"when": "2024-06-06T12:00:00+02:00"}, "when_hour", 10),
        ({"when": "2024-06-06"}, "when_month", 6),
        ({"when": 1717668000}, "when_month", 6),
        ({"when_month": 4}, "when_month", 4),
        ({"when": None, "when_month": "4"}, "when_month", 4),
        ({"": 5}, "unnamed_5", 5),
        ({"Unnamed: 4": 5}, "unnamed_5", 5),
        ({"unnamed_3": 5}, "unnamed_5", 5),
    ],
)  # fmt: skip
def test_a_value_given_is_converted_as_the_csv_reader_does(row: dict[str, Any], column: str, expected: object) -> None:
    columns, _ = read_given(row)
    assert columns[column] == [expected]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"fare": "x"}, "the rows, row 1: column 'fare' is no float: 'x'"),
        ({"seats": 2.5}, "column 'seats' is no int: '2.5'"),
        ({"seats": "2.5"}, "column 'seats' is no int"),
        ({"seats": 1e300}, "column 'seats' is no int"),
        ({"when": "yesterday"}, "column 'when' is no time: 'yesterday'"),
        ({"fare": [1]}, "column 'fare' is no float"),
        ({"fair": 1}, "Row 0 has none of the model's columns; it has 'fair'.\nDid you mean 'fare'"),
        ({}, "it has nothing"),
    ],
)
def test_a_value_of_another_kind_is_named(row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_given(row)
    assert message in str(caught.value)


def test_what_must_be_said_of_rows_is_said() -> None:
    row = {"fare": 1, "seats": 1, "flags": "a", "when": "2024-01-01", "unnamed_5": 1, "y": 0}
    assert read_given({**row, "member": True})[1] == []
    _, said = read_given({**row, "member": "Maybe", "when": None, "fair": 2})
    assert said == [
        "The model also takes 'when_month' (made of 'when'), 'when_hour' (made of 'when'): missing in the row.",
        "'fair' is no column that training knew, and is not used. Did you mean 'fare'?",
        "'member': 1 of 1 texts (100.0%) were never seen in training ('Maybe'); of the rows held back from training "
        "it was 25.0%.",
    ]
    assert read_given(*[{**row, "member": True}] * 3, {**row, "member": "Maybe"})[1] == []  # no more than training had


def test_a_version_without_rules_says_so_and_is_read_by_the_default_ones() -> None:
    columns, said = read_given({"fare": "NA", "seats": "3", "member": True, "y": 1}, rules=None)
    assert (columns["fare"], columns["seats"], columns["member"]) == ([None], [3], [b"true"])
    assert said[0] == "Version 7 carries none: the default rules read these."
    assert "'y'" not in "".join(said)


def test_columns_without_a_name_are_matched_in_order_where_as_many_are_there() -> None:
    known = ["a", "unnamed_2", "unnamed_5"]
    assert match_trained_names(["a", "unnamed_1", "unnamed_4"], known) == {
        "unnamed_1": "unnamed_2",
        "unnamed_4": "unnamed_5",
    }
    assert match_trained_names(["a", "unnamed_1"], known) == {}
    assert match_trained_names([" a", "unnamed_2", "b "], known) == {" a": "a"}
    assert match_trained_names(["a", " a"], known) == {}


def test_a_file_of_another_dialect_is_told_how_training_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("fare,seats\n1,2\n")
    with pytest.raises(DataError, match="read as its training read them: csv with the delimiter ';'"):
        list(TrainedReader(RULES, INPUTS).read_batches(RowSource(path=str(tmp_path / "a.csv"))))
    (tmp_path / "b.csv").write_text("fare;seats\n1;2;3\n")
    with pytest.raises(DataError, match="row 1: 3 cells, 2 columns"):
        list(TrainedReader(RULES, INPUTS).read_batches(RowSource(path=str(tmp_path / "b.csv"))))
    with pytest.raises(DataError, match="There is no file"):
        list(TrainedReader(RULES, INPUTS).read_batches(RowSource(path=str(tmp_path / "none.csv"))))


def test_a_file_without_a_header_may_lack_the_label(tmp_path: Path) -> None:
    table = {"csv": {"header": False, "names": ["fare", "y", "member"]}}
    rules = ReadingRules(format="csv", table=table, kinds={"fare": "float", "y": "int", "member": "string"}, label="y")
    (tmp_path / "a.csv").write_text("1,a\n2,b\n")
    reader = TrainedReader(rules, {"fare": "float32", "member": "string"})
    (batch,) = reader.read_batches(RowSource(path=str(tmp_path / "a.csv")))
    assert reader.convert_columns(batch)["member"].to_pylist() == [b"a", b"b"]
    assert "taken to be without the label 'y'" in reader.describe_rows()[0]
    (tmp_path / "b.csv").write_text("1,0,a\n2,1,b\n")
    (batch,) = reader.read_batches(RowSource(path=str(tmp_path / "b.csv")))
    assert reader.convert_columns(batch)["member"].to_pylist() == [b"a", b"b"]


def test_a_footer_gets_no_answer_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(8)) + "Total,\n")
    rules = train(path, tmp_path / "out", csv={"footer": ["Total"]})
    notes = json.loads((tmp_path / "out" / "ingest.json").read_text())["notes"]
    assert "1 row is a footer and is left out: the first cell is 'Total'" in notes[0]["explanation"]
    reader = TrainedReader(rules, inputs_of(rules))
    assert sum(len(reader.convert_columns(batch)["x"]) for batch in reader.read_batches(RowSource(path=str(path)))) == 8
    assert "Left out as a footer, as in training (a first cell of 'Total'): 1 row." in reader.describe_rows()


def test_dates_in_digits_are_the_same_in_every_format(tmp_path: Path) -> None:
    days = [20240131, 20240229, 20231224, 20240601]
    table = {"id": [0, 1, 2, 3], "day": days, "y": [0, 1, 0, 1]}
    dialect = {"delimiter": ",", "quote": '"', "encoding": "utf-8"}
    path = write_table(tmp_path / "t.csv", table, dialect)
    rules = train(path, tmp_path / "out", types={"day": "time:%Y%m%d"}, calendar={"day": ["month", "weekday"]})
    for form in FORMATS:
        other = write_table(tmp_path / f"asked.{form}", table, dialect)
        reader = TrainedReader(rules, {"id": "int64", "day_month": "int64", "day_weekday": "int64"})
        assert asked(reader, RowSource(path=str(other))) == {
            i: {"id": i, "day_month": month, "day_weekday": weekday}
            for i, (month, weekday) in enumerate([(1, 2), (2, 3), (12, 6), (6, 5)])
        }


def test_only_the_first_rows_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("fare;member\n" + "1;True\n" * 9)
    source = RowSource(path=str(tmp_path / "a.csv"), limit=4)
    assert sum(batch.rows.num_rows for batch in TrainedReader(RULES, INPUTS).read_batches(source)) == 4


def test_rules_are_written_without_a_place_and_read_strictly(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\nx,0\nz,1\nx,1\n")
    train(tmp_path / "t.csv", tmp_path / "out")
    text = (tmp_path / "out" / RULES_FILE).read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    version = tmp_path / "1"
    (version / "assets.extra").mkdir(parents=True)
    assert read_rules(version) is None
    place = version / READING_RULES_FILE
    place.write_text(text, encoding="utf-8")
    assert read_rules(version).kinds == {"a": "string", "y": "int"}
    for spoilt, message in (
        (text.replace('"version": 1', '"version": 2'), "of form 2"),
        (text.replace('"kinds"', '"sorts"'), "cannot be read"),
        (text.replace('"delimiter"', '"divider"'), "cannot be read"),
        (text[:-9], "cannot be read"),
    ):
        place.write_text(spoilt, encoding="utf-8")
        with pytest.raises(ServingError, match=message):
            read_rules(version)
