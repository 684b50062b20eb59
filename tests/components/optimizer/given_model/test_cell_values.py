"""Cells as tensors: no value changes on the way, and what cannot be one is refused with the value and the row."""

import datetime
import decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxiway.components.errors import DataError
from taxiway.components.optimizer.given_model.cell_values import cast_exactly, convert_cells, list_values

INT64 = st.integers(-(2**63), 2**63 - 1)


def make_cells(*cells):
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a loaded machine, not of the values
@given(st.lists(INT64, min_size=1, max_size=8))
def test_integers_of_64_bits_stay_what_they_are(numbers):
    """As texts of a csv file, as numbers of JSON, and beside a decimal of Parquet."""
    texts = make_cells(*(str(number).encode() for number in numbers))
    assert convert_cells(texts, "int64", "x").tolist() == numbers
    assert convert_cells(make_cells(*numbers), "int64", "x").tolist() == numbers
    mixed = make_cells(*numbers, decimal.Decimal(5))
    assert convert_cells(mixed, "int64", "x").tolist() == [*numbers, 5]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a loaded machine, not of the values
@given(st.lists(st.lists(st.text(max_size=4), min_size=2, max_size=2), min_size=1, max_size=4))
def test_nested_texts_keep_their_shape_and_bytes(rows):
    made = convert_cells(make_cells(*rows), "string", "words")
    assert made.shape == (len(rows), 2)
    assert made.tolist() == [[text.encode() for text in row] for row in rows]


def test_bytes_keep_the_zeros_at_their_end():
    assert convert_cells(make_cells([b"a\0", b""], [b"\xff", b"b\0"]), "string", "x").tolist() == [
        [b"a\0", b""],
        [b"\xff", b"b\0"],
    ]


@pytest.mark.parametrize(
    ("dtype", "cell", "value"),
    [
        ("int32", b" 7 ", 7),
        ("int32", "7.0", 7),
        ("int32", decimal.Decimal("7.00"), 7),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("bool", b"true", True),
        ("bool", 0, False),
        ("float32", b"-1e3", -1000.0),
        ("string", 7, b"7"),
        ("string", None, b""),
        ("string", "é", "é".encode()),
        ("string", datetime.date(2020, 2, 1), b"2020-02-01"),
    ],
)
def test_a_cell_of_another_type_is_read(dtype, cell, value):
    assert convert_cells(make_cells(cell), dtype, "x").tolist() == [value]


def test_a_missing_float_is_nan():
    assert np.isnan(convert_cells(make_cells(1.0, None), "float32", "x")[1])


@pytest.mark.parametrize(
    ("dtype", "cells", "said"),
    [
        ("int64", (1, 2.5), r"'x' holds 2\.5 in row 1, and the input takes int64"),
        ("int64", (b"1", b"2.5"), r"holds 2\.5 in row 1"),
        ("int64", (1, None), r"holds nan in row 1"),
        ("uint8", (1, 300), r"holds 300 in row 1, and the input takes uint8"),
        ("uint8", (1, -1), r"holds -1 in row 1"),
        ("uint64", (2**64 - 1, -1), r"holds -1 in row 1"),
        ("int64", (1, 2**63), r"holds 9223372036854775808 in row 1"),
        ("int64", (b"1", b"1e999999999"), r"no number|holds inf in row 1"),
        ("float16", (1.0, 1e5), r"holds 100000\.0 in row 1, and the input takes float16"),
        ("bool", (1, 2), r"holds 2 in row 1"),
        ("float32", (b"1", b"many"), r"in row 1 what is no number: .*many"),
        ("int64", (b"1", b"many"), r"in row 1 what is no number: .*many"),
        ("float32", (1.0, {"a": 1}), r"in row 1 what is no number: \{'a': 1\}"),
        ("string", ("a", {"a": 1}), r"in row 1 what is no text: \{'a': 1\}"),
        ("string", (["a"], ["a", "b"]), r"the shape \[1\] in row 0 and \[2\] in row 1"),
        ("string", ("a", ["a"]), r"the shape \[\] in row 0 and \[1\] in row 1"),
        ("float32", ([1, 2], [1]), r"the shape \[2\] in row 0 and \[1\] in row 1"),
        ("float32", ([[1], [1, 2]],), r"lists of several lengths in row 0: \[1\], \[2\]"),
        ("variant", (1,), "is variant"),
    ],
)
def test_what_would_change_or_is_of_no_shape_is_refused(dtype, cells, said):
    with pytest.raises(DataError, match=said):
        convert_cells(make_cells(*cells), dtype, "x")


def test_a_fraction_inside_of_an_array_is_named():
    with pytest.raises(DataError, match=r"'pixels' holds 0\.5 in row 1"):
        cast_exactly(np.array([[1.0, 2.0], [3.0, 0.5]]), "uint8", "pixels")


def test_values_of_an_example_are_flat_and_exact():
    assert list_values([[1, 2], [3, 4]], "int64", "x", 0) == [1, 2, 3, 4]
    assert list_values([b"a\0", "é"], "string", "x", 0) == [b"a\0", "é".encode()]
    assert list_values(np.nan, "float32", "x", 0) == list_values(None, "int64", "x", 0) == []
    with pytest.raises(DataError, match=r"'x' holds 2\.7 in row 4, and the input takes int64"):
        list_values(2.7, "int64", "x", 4)
