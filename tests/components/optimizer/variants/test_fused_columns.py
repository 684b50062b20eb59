"""Columns that are treated together: fewer operations, and the answers are the same, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.components.optimizer.conftest import child


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("stacked")
    return child("stacked", folder / "log", folder=str(folder))


def test_answers_to_rows_that_try_the_parser_are_equal_and_others_would_be_noticed(made):
    assert len(made["equal"]) == 5 and all(made["equal"].values()), made["equal"]
    assert made["notices"]


def test_columns_of_one_kind_take_one_operation(made):
    lean, fused = made["ops"]["lean"], made["ops"]["fused"]
    assert made["columns"] == 5 + 6 + 5 + 3
    assert lean["AsString"] == 3 and fused["AsString"] == 1
    assert fused["StridedSlice"] < lean["StridedSlice"] / 2
