"""Names of the raw signature's inputs: each depends on its column alone."""

from __future__ import annotations

import builtins
import keyword
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.saved_models.input_names import make_input_name

LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@pytest.mark.parametrize("column", ["fare", "Fare", "A_1", "x" * 200, "args", "inputs", "classes", "print", "a__b"])
def test_a_name_that_tensorflow_and_python_allow_stays(column: str) -> None:
    assert make_input_name(column) == column


@pytest.mark.parametrize(
    ("column", "begins"),
    [
        ("Fare (USD)", "fare_usd__"),
        ("Größe", "gro_e__"),
        ("日本", "column__"),
        ("2020 sales", "c_2020_sales__"),
        ("", "column__"),
        ("self", "self__"),
        ("class", "class__"),
        ("None", "none__"),
        ("_a", "a__"),
        ("x" * 201, "x" * 40 + "__"),
    ],
)
def test_another_one_is_readable_and_ends_in_its_hash(column: str, begins: str) -> None:
    assert re.fullmatch(re.escape(begins) + "[0-9a-f]{10}", make_input_name(column))


def test_a_column_named_like_another_one_s_input_gets_its_own() -> None:
    taken = make_input_name("日本")
    assert make_input_name(taken) not in (taken, make_input_name("日本"))


@settings(max_examples=40)
@given(st.sets(st.one_of(st.text(max_size=8), st.sampled_from([*keyword.kwlist, *dir(builtins)])), max_size=40))
def test_any_columns_have_legal_names_of_their_own(columns: set[str]) -> None:
    names = [make_input_name(column) for column in columns]
    assert len(set(names)) == len(columns)
    for name in names:
        assert LEGAL.fullmatch(name)
        assert not keyword.iskeyword(name)
        assert name != "self"
