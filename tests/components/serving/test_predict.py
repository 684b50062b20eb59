"""Rows in, answers out, with the live version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.errors import DataError, ServingError
from components.serving.directory import ServingDirectory
from components.serving.predict import predict
from components.serving.rows import answers_by_row, check_any_known, convert
from tests.components.serving import models


def test_scores_rows_with_the_live_version(taxi_model: Path, tmp_path: Path) -> None:
    version = ServingDirectory(tmp_path / "taxi").push(taxi_model, {}).version
    rows = models.rows(1500)
    scored = predict(tmp_path / "taxi", rows)
    assert scored.version == version and scored.ignored == ["tip"] and scored.signature == "serving_raw"
    expected = [models.probability(row) for row in rows]
    np.testing.assert_allclose([answer["probabilities"] for answer in scored.answers], expected, atol=1e-6)
    assert {answer["classes"] for answer in scored.answers} == {"yes", "no"}


def test_says_what_is_wrong_with_a_row(taxi_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="has no version"):
        predict(tmp_path / "taxi", [{"company": "Blue"}])
    ServingDirectory(tmp_path / "taxi").push(taxi_model, {})
    with pytest.raises(ServingError, match="has no version 3"):
        predict(tmp_path / "taxi", [{"company": "Blue"}], version=3)
    with pytest.raises(DataError, match="'seats' takes int64, not 'many'"):
        predict(tmp_path / "taxi", [{"seats": "many"}])
    assert predict(tmp_path / "taxi", []).answers == []


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (None, "string", None),
        ("", "float32", None),
        ("3.0", "int64", 3),
        (3.0, "int64", 3),
        ("7", "int64", 7),
        (float("nan"), "int64", None),
        ("2.5", "float32", 2.5),
        (5, "string", "5"),
        (True, "string", "true"),
        ("TRUE", "bool", True),
        (0, "bool", False),
        ("9007199254740993", "int64", 9007199254740993),
    ],
)
def test_cells_take_their_columns_type(value: object, dtype: str, expected: object) -> None:
    assert convert(value, dtype, "c") == expected


@pytest.mark.parametrize(("value", "dtype"), [("x", "float32"), (2.5, "int64"), ("maybe", "bool"), ([1], "float32")])
def test_cells_of_another_type_are_refused(value: object, dtype: str) -> None:
    with pytest.raises(DataError, match="Column 'c' takes"):
        convert(value, dtype, "c")


def test_a_row_of_another_table_is_refused() -> None:
    with pytest.raises(DataError, match="Row 1 has none of the model's columns; it has y"):
        check_any_known([{"a": 1}, {"y": 2}], ["a", "b"])


def test_answers_are_plain_values() -> None:
    outputs = {
        "p": np.array([[0.5], [0.25]]),
        "m": np.array([[1, 2], [3, 4]]),
        "c": np.array([b"\xff", "ü".encode()], object),
    }
    assert answers_by_row(outputs) == [
        {"p": 0.5, "m": [1, 2], "c": {"b64": "/w=="}},
        {"p": 0.25, "m": [3, 4], "c": "ü"},
    ]
