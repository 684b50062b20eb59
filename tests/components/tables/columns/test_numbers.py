"""What is taken for a number once it is trimmed."""

import pyarrow as pa
import pytest

from taxiway.components.tables.columns import numbers


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        (" 2", True),
        ("+3 ", True),
        (" 1e5 ", True),
        ("-.5", True),
        (" nan", True),  # a missing value in a column of numbers
        ("inf ", True),
        ("1_000", False),
        (" 1_000", False),
        ("\uff11\uff12", False),
        ("0x1A", False),
        ("1,5", False),
        ("", False),
        (" ", False),
        ("x", False),
    ],
)
def test_numbers_with_spaces_around_them(text, is_number):
    for values in (pa.array([None, text.encode()], pa.binary()), pa.array([text, "x"], pa.large_string())):
        assert numbers._is_padded_number(values) is is_number


def test_bytes_that_are_no_text_are_no_number():
    assert not numbers._is_padded_number(pa.array([b"\xff1"], pa.large_binary()))
    assert numbers.parse_numbers(pa.array([b"\xff1", b" 2"], pa.large_binary()), pa.float64()) is None
