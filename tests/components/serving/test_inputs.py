"""What a push changes for the live version's clients is said, and can be refused."""

import json

import pytest

from components.contract import SIGNATURE_INPUTS_FILE
from components.serving.inputs import judge_inputs, read_inputs

AGE = {"column": "возраст", "dtype": "float32", "default": -1.0}
CITY = {"column": "город", "dtype": "string", "default": ""}
LIVE = {"column_2": AGE, "column_3": CITY}


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ({"column_2": AGE, "column_3": CITY}, []),
        ({"column_3": CITY, "column_2": AGE, "more": {**AGE, "column": "more"}}, []),
        ({"column_2": AGE}, ["the input 'column_3' (column 'город') is gone"]),
        (
            {"column_2": CITY, "column_3": AGE},
            ["'column_2' took the column 'возраст' and takes 'город'", "'column_2' was float32 and is string"],
        ),
        ({"column_2": AGE, "city__1": CITY}, ["column 'город' was the input 'column_3' and is 'city__1'"]),
        ({"column_2": {**AGE, "dtype": "int64"}, "column_3": CITY}, ["'column_2' was float32 and is int64"]),
        ({"column_2": {**AGE, "default": None}, "column_3": CITY}, ["'column_2' could be missing and is required"]),
        ({**LIVE, "more": {**AGE, "column": "more", "default": None}}, ["'more' (column 'more') is new and required"]),
    ],
    ids=["same", "one more", "gone", "moved", "renamed", "dtype", "required", "new and required"],
)
def test_changes(candidate, said):
    findings, changes = judge_inputs(LIVE, candidate, block=False)
    assert [finding.passed for finding in findings] == [True]
    assert all(any(words in change for change in changes) for words in said)
    assert bool(changes) == bool(said)
    [blocked], _ = judge_inputs(LIVE, candidate, block=True)
    assert blocked.passed != bool(said)
    assert ("serving.input_changes: report" in blocked.detail) == bool(said)


def test_where_nothing_is_live_there_is_nothing_to_compare():
    assert judge_inputs({}, LIVE, block=True) == ([], [])


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"inputs": 1}', '{"inputs": {"a": 1}}'])
def test_a_file_that_says_nothing(tmp_path, content):
    if content is not None:
        path = tmp_path / SIGNATURE_INPUTS_FILE
        path.parent.mkdir()
        path.write_text(content)
    assert read_inputs(tmp_path) == {}


def test_the_exporter_s_file(tmp_path):
    path = tmp_path / SIGNATURE_INPUTS_FILE
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 1, "inputs": LIVE}))
    assert read_inputs(tmp_path) == LIVE
