"""A later span is read as the schema says; values of another kind are left to the gate."""

import pytest

from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import ingest_data
from taxiway.components.example_gen.known_kinds import apply_known_kinds, choose_kind
from tests.components.example_gen.rows import read_all, write

Y = [0, 1] * 10


@pytest.mark.parametrize("inferred, known, expected", [
    ("int", "float", "float"), ("null", "float", "float"), ("null", "time:%Y", "time:%Y"), ("int", "string", "string"),
    ("float", "string", "string"), ("bool", "string", "string"), ("string", "int", "int"), ("string", "bool", "bool"),
    ("string", "time:%d.%m.%Y", "time:%d.%m.%Y"), ("float", "int", "float"), ("time", "int", "time"),
    ("int", "time", "time"), ("int", "bool", "int"), ("bool", "float", "bool"), ("int", "int", "int"),
])  # fmt: skip
def test_the_kind_that_is_read(inferred, known, expected):
    assert choose_kind(inferred, known) == expected


@pytest.mark.parametrize("kind", ["int", "float", "string", "bool", "time"])
def test_the_data_that_a_schema_comes_from_reads_the_same(kind):
    assert choose_kind(kind, kind) == kind


def test_without_a_schema_nothing_is_decided():
    kinds = {"a": "int", "b": "null"}
    assert apply_known_kinds(kinds, {}, ()) == (kinds, (), ())


def later(tmp_path, table, known, name="t.csv", **data):
    path = write(tmp_path / name, {**table, "y": Y})
    config = DataConfig(path=str(path), **data)
    return ingest_data(config, LabelConfig(column="y"), str(tmp_path / "o"), schema_kinds=known)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_whole_fractions_numbers_that_were_words_and_empty_columns(tmp_path, name):
    table = {"amount": list(range(20)), "code": [100 + i for i in range(20)], "score": [None] * 20}
    known = {"amount": "float", "code": "string", "score": "float"}
    done = later(tmp_path, table, known, name)
    assert done.columns == {**known, "y": "int"}
    rows = read_all(tmp_path / "o")
    assert {r["amount"] for r in rows} == {float(i) for i in range(20)} and {type(r["amount"]) for r in rows} == {float}
    assert {r["code"] for r in rows} == {str(100 + i) for i in range(20)} and {r["score"] for r in rows} == {None}


def test_fractions_among_whole_numbers_stay_fractions(tmp_path):
    done = later(tmp_path, {"n": [i + 0.5 for i in range(20)]}, {"n": "int"})
    assert done.columns["n"] == "float" and {r["n"] % 1 for r in read_all(tmp_path / "o")} == {0.5}


def test_a_word_among_numbers_is_a_bad_row_with_the_ways_out(tmp_path):
    table = {"n": [*range(19), "?"]}
    with pytest.raises(DataError) as error:
        later(tmp_path, table, {"n": "int"})
    assert "row 20: column 'n' is no int: '?'" in error.value.problem
    assert all(way in error.value.remedy for way in ("max_bad_rows", "null_values", "type: BYTES", "'n'"))
    assert later(tmp_path, table, {"n": "int"}, max_bad_rows=1).rows["bad"] == 1
    done = later(tmp_path, table, {"n": "int"}, csv={"null_values": ["", "?"]})
    assert done.columns["n"] == "int" and done.rows["bad"] == 0


def test_new_columns(tmp_path):
    table = {"n": list(range(20)), "extra": [i / 3 for i in range(20)], "empty": [None] * 20}
    done = later(tmp_path, table, {"n": "int"})
    assert done.columns == {"n": "int", "extra": "float", "y": "int"}
    assert [(note.rule, note.column) for note in done.notes] == [("new_empty_column", "empty"), ("judged_on_eval", "")]
    with pytest.raises(DataError, match="'empty' holds no value in any row"):
        later(tmp_path, table, {})


def test_data_types_come_first(tmp_path):
    done = later(tmp_path, {"n": list(range(20))}, {"n": "float"}, types={"n": "string"})
    assert done.columns["n"] == "string"
