"""Columns of files as tensors and labels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxiway.components.errors import DataError
from taxiway.components.optimizer.given_model import table_rows
from taxiway.components.optimizer.given_model.parsed_examples import ParsedFeature
from tests.components.optimizer.given_model.signature_specs import make_signature

WORDS = ("words", "string", (None, 2))
ITEM = ("item", "int64", (None, 1))


def read(path, signature, features=(), label=""):
    return table_rows.read_table(str(path), signature, features, label)


def test_labels_are_one_number_a_row():
    assert table_rows.convert_labels(np.array([[1], [2]]), "y").tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match=r"'y' has 3 values a row(.|\n)*position of the 1"):
        table_rows.convert_labels(np.eye(3), "y")


def test_nested_texts_of_parquet_and_json_lines(tmp_path):
    rows = [{"words": ["good", "é"], "y": 1}, {"words": ["", "bad\0"], "y": 0}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text(
        '{"words": ["good", "é"], "y": 1}\n{"words": ["", "bad\\u0000"], "y": 0}\n', encoding="utf-8"
    )
    for name in ("rows.parquet", "rows.jsonl"):
        found = read(tmp_path / name, make_signature(WORDS), label="y")
        assert found.tensors["words"].tolist() == [[b"good", "é".encode()], [b"", b"bad\0"]]
        assert found.labels.tolist() == [1.0, 0.0]


def test_arrays_of_numpy_with_texts_that_are_not_ascii(tmp_path):
    np.savez(tmp_path / "rows.npz", words=np.array([["Zürich", "b"], ["", "日本"]]), item=np.array([7, 2**60 + 1]))
    found = read(tmp_path / "rows.npz", make_signature(WORDS, ITEM)).tensors
    assert found["words"].tolist() == [["Zürich".encode(), b"b"], [b"", "日本".encode()]]
    assert found["item"].tolist() == [[7], [2**60 + 1]]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"item": np.array([{"a": 1}, None])}, "cannot be read: Object arrays(.|\n)*without objects"),
        ({"item": np.array([1, 2]), "more": np.array([1])}, "do not have the same number of rows"),
        ({"item": np.array(["2020-01-01"], "datetime64[D]")}, "neither numbers nor texts"),
        ({"item": np.array([1.5])}, r"'item' holds 1\.5 in row 0, and the input takes int64"),
        ({"item": np.zeros((1, 2, 2))}, r"rows of shape \[2, 2\]; the input is item int64 \[\?, 1\]"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, said):
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(DataError, match=said):
        read(tmp_path / "rows.npz", make_signature(ITEM))


def test_a_file_that_is_no_archive_of_numpy(tmp_path):
    (tmp_path / "rows.npz").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "rows.npz", make_signature(ITEM))


def test_columns_become_the_one_vector_that_has_their_number(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,species\n1,2.5,0\n3,-4,1\n")
    found = read(tmp_path / "rows.csv", make_signature(("x", "float32", (None, 2))), label="species")
    assert found.tensors["x"].tolist() == [[1.0, 2.5], [3.0, -4.0]]
    assert found.told == "the columns a, b are, in this order, the values of x"


def test_fractions_of_a_csv_are_not_cut_for_an_integer_input(tmp_path):
    (tmp_path / "rows.csv").write_text("item\n1\n2.0\n2.75\n")
    with pytest.raises(DataError, match=r"'item' holds 2\.75 in row 2, and the input takes int64"):
        read(tmp_path / "rows.csv", make_signature(ITEM))


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    (tmp_path / "rows.csv").write_text("itm,words\n1,a\n")
    with pytest.raises(DataError, match=r"no column 'item'(.|\n)*itm, words"):
        read(tmp_path / "rows.csv", make_signature(ITEM, WORDS))


FEATURES = (
    ParsedFeature("age", "int64", 1),
    ParsedFeature("kinds", "string", None),
    ParsedFeature("size", "float32", 1),
)
EXAMPLES = make_signature(("examples", "string", (None,)))


def test_rows_are_written_as_the_examples_that_the_graph_parses(tmp_path):
    import tensorflow as tf

    (tmp_path / "rows.jsonl").write_text(
        '{"age": 9007199254740993, "kinds": ["é", "b"], "size": 1}\n{"age": 3, "kinds": [], "size": null}\n',
        encoding="utf-8",
    )
    found = read(tmp_path / "rows.jsonl", EXAMPLES, FEATURES).tensors["examples"]
    first, second = (tf.train.Example.FromString(row).features.feature for row in found)
    assert first["age"].int64_list.value == [9007199254740993]
    assert first["kinds"].bytes_list.value == ["é".encode(), b"b"]
    assert first["size"].float_list.value == [1.0]
    assert sorted(second) == ["age"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"age": 2.9}', r"'age' holds 2\.9 in row 1, and the input takes int64"),
        ('{"age": "young"}', "'age' holds in row 1 what is no number: 'young'"),
        ('{"age": 1, "kinds": {"a": 1}}', r"'kinds' holds in row 1 what is no text: \{'a': 1\}"),
    ],
)
def test_a_value_that_a_feature_does_not_take_is_refused(tmp_path, row, said):
    (tmp_path / "rows.jsonl").write_text(f'{{"age": 1}}\n{row}\n')
    with pytest.raises(DataError, match=said):
        read(tmp_path / "rows.jsonl", EXAMPLES, FEATURES)
