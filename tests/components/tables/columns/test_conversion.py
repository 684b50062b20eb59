"""Kinds of columns and values of text: numbers in any way of writing, codes, counted times. No tfx, no TensorFlow."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from taxiway.components.tables.columns.conversion import convert_values
from taxiway.components.tables.columns.kinds import infer_kind, merge_kinds
from taxiway.components.tables.columns.numbers import matches_format
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.number_format import NumberFormat, parse_format


def texts(*values):
    return pa.array([None if v is None else v.encode() for v in values], pa.binary())


def kind(*values):
    return infer_kind(texts(*values), "null", "x", "f")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1", " 2", "+3 "), "int"),
        (("1", "2.5", "1e+05", "1e5"), "float"),
        (("0", "0.5", "-0"), "float"),
        (("00501", "1234"), "string"),
        (("0x1F",), "string"),
        (("12E4", "1234"), "string"),
        (("+4912345678",), "string"),
        (("9007199254740992",), "int"),
        (("9007199254740993",), "string"),
        (("18446744073709551615",), "string"),
        (("123456789012345678901",), "string"),
        (("True", "false", None), "bool"),
        (("True", "1"), "string"),
    ],
)
def test_kinds_of_text(values, expected):
    assert kind(*values) == expected


def test_numbers_beyond_exact_floats_are_text_in_typed_columns():
    assert infer_kind(pa.array([2**53, None]), "null", "x", "f") == "int"
    assert infer_kind(pa.array([2**53 + 1]), "int", "x", "f") == "string"
    assert infer_kind(pa.array([2**64 - 1], pa.uint64()), "null", "x", "f") == "string"
    assert convert_values(pa.array([2**64 - 1], pa.uint64()), "string")[0].to_pylist() == [b"18446744073709551615"]
    assert convert_values(pa.array([2**64 - 1], pa.uint64()), "float")[0].to_pylist() == [2.0**64]


@given(st.permutations([("1", "2"), ("0.5",), ("007",), ("x",), (None,)]))
def test_the_kind_does_not_depend_on_the_order_of_batches(batches):
    known = "null"
    for batch in batches:
        known = merge_kinds(known, infer_kind(texts(*batch), known, "x", "f"))
    assert known == "string"


FORMATS = st.builds(
    NumberFormat,
    decimal=st.just("."),
    thousands=st.sampled_from(["", ",", "'", " "]),
    before=st.sampled_from(["", "$", "USD", "R$"]),
    after=st.sampled_from(["", "%", "€", "kg", "km/h"]),
) | st.builds(
    NumberFormat,
    decimal=st.just(","),
    thousands=st.sampled_from(["", ".", "\u00a0", "\u202f", "\u2019"]),
    before=st.sampled_from(["", "CHF"]),
    after=st.sampled_from(["", "%", "€", "zł"]),
)


@settings(max_examples=300, deadline=None)
@given(FORMATS, st.integers(-(10**11), 10**11), st.sampled_from(["-{}", "({})", "{}-", "\u2212{}"]), st.booleans())
def test_a_number_written_in_a_format_is_read_as_it_was(form, hundredths, negative, spaced):
    whole, fraction = divmod(abs(hundredths), 100)
    number = f"{whole:,}".replace(",", form.thousands) + f"{form.decimal}{fraction:02d}"
    gap = " " if spaced else ""
    text = f"{form.before}{gap}{number}{gap}{form.after}"
    text = negative.format(text) if hundredths < 0 else f" {text} "
    assert parse_format(form.example) is not None
    values, wrong = convert_values(texts(text, None), f"float:{form.example}")
    assert wrong is None, (text, form.example)
    assert values.to_pylist() == [hundredths / 100, None]
    assert re.match(form.pattern, text), "Python's expressions and Arrow's must agree"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("1,5", "10.5"), ("1.234,5", "1,234.5"), ("1,234", "12,34"), ("1.5%", "0.5"), ("$1.5", "€1.5"), ("1.5", "1.5)"),
        ("1.5", "1.5.2"), ("1 234", "12 34"), ("1.5", "x"), ("1.5", "-"),
    ],
)  # fmt: skip
def test_a_number_in_another_format_is_none(form, text):
    values, wrong = (
        convert_values(texts(text, "1"), f"float:{form}")
        if form != "1.5%"
        else convert_values(texts(text, "1%"), "float:1.5%")
    )
    assert wrong.tolist() == [True, False] and values.to_pylist() == [None, 1.0]
    assert not matches_format(pa.array([text]), form)[0].as_py()


def test_counted_times():
    for unit, factor in {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}.items():
        numbers = [1_700_000_000 * factor + factor // 2, None, -1]
        expected = [1_700_000_000, None, -1]
        assert convert_values(pa.array(numbers), f"time:{unit}")[0].to_pylist() == expected
        assert (
            convert_values(texts(*(None if n is None else str(n) for n in numbers)), f"time:{unit}")[0].to_pylist()
            == expected
        )
    assert convert_values(texts("1700000000123.0"), "time:ms")[0].to_pylist() == [1_700_000_000]
    assert convert_values(texts("x"), "time:ms")[1].tolist() == [True]


def test_a_date_in_digits_is_one_as_text_and_as_a_number():
    expected = [1_706_659_200, None]
    for values in (texts("20240131", None), pa.array([20240131, None]), pa.array([20240131.0, None])):
        assert convert_values(values, "time:%Y%m%d")[0].to_pylist() == expected
    assert convert_values(pa.array([20240131, 20241331]), "time:%Y%m%d")[1].tolist() == [False, True]
    assert convert_values(pa.array([1_706_659_200]), "time:%d.%m.%Y")[0].to_pylist() == [1_706_659_200]


@pytest.mark.parametrize(("text", "form"), [("1/31/24", "%m/%d/%y"), ("31-Jan-24", "%d-%b-%y")])
def test_a_year_of_two_digits_is_none_of_the_first_century(text, form):
    assert convert_values(texts(text), f"time:{form}")[0].to_pylist() == [1_706_659_200]
    assert convert_values(texts(text), f"time:{form.replace('%y', '%Y')}")[1].tolist() == [True]


@pytest.mark.parametrize("kind", ["float:x", "int:", "time:min", "bool:yes", "float:1,234,5x6"])
def test_refused_types(kind):
    with pytest.raises(ValidationError, match="is none of int, float"):
        TableConfig(path="x", types={"a": kind})


def test_bytes_among_many_values_are_no_number():
    array = pa.array([bytes([255, i % 256]) for i in range(500)], pa.binary())
    assert infer_kind(array, "null", "x", "f") == "string"
    assert infer_kind(texts(*["1"] * 300, "x"), "null", "x", "f") == "string"
    assert infer_kind(texts(*[None] * 300, " 7"), "null", "x", "f") == "int"
