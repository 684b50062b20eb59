"""What a push changes for the live version's clients is said, and can be refused."""

from dataclasses import replace

import pytest

from taxiway.components.saved_models.signature_inputs import SignatureInput
from taxiway.components.serving.validation.input_changes import compare_inputs

AGE = SignatureInput("возраст", "float32", -1.0)
CITY = SignatureInput("город", "string", "")
LIVE = {"column_2": AGE, "column_3": CITY}


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ({"column_2": AGE, "column_3": CITY}, []),
        ({"column_3": CITY, "column_2": AGE, "more": replace(AGE, column="more")}, []),
        ({"column_2": AGE}, ["the input 'column_3' (column 'город') is gone"]),
        (
            {"column_2": CITY, "column_3": AGE},
            ["'column_2' took the column 'возраст' and takes 'город'", "'column_2' was float32 and is string"],
        ),
        ({"column_2": AGE, "city__1": CITY}, ["column 'город' was the input 'column_3' and is 'city__1'"]),
        ({"column_2": replace(AGE, dtype="int64"), "column_3": CITY}, ["'column_2' was float32 and is int64"]),
        ({"column_2": replace(AGE, default=None), "column_3": CITY}, ["'column_2' could be missing and is required"]),
        ({**LIVE, "more": replace(AGE, column="more", default=None)}, ["'more' (column 'more') is new and required"]),
    ],
    ids=["same", "one more", "gone", "moved", "renamed", "dtype", "required", "new and required"],
)
def test_changes(candidate, said):
    findings, changes = compare_inputs(LIVE, candidate, block=False)
    assert [finding.passed for finding in findings] == [True] * bool(said)
    assert all(any(words in change for change in changes) for words in said)
    assert bool(changes) == bool(said)
    blocked, _ = compare_inputs(LIVE, candidate, block=True)
    assert [finding.passed for finding in blocked] == [False] * bool(said)
    assert all("serving.input_changes: report" in finding.detail for finding in blocked)


def test_an_output_that_is_gone():
    [finding], changes = compare_inputs(LIVE, LIVE, block=True, lost_outputs=["classes"])
    assert changes == ["the output 'classes' is gone"] and not finding.passed


def test_where_nothing_is_live_there_is_nothing_to_compare():
    assert compare_inputs({}, LIVE, block=True) == ([], [])
