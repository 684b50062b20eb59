"""Columns parsed densely and look-ups folded: the answers are the same, bit for bit, on rows that try the parser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.components.optimizer.conftest import child


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("lean")
    return child("lean", folder / "log", folder=str(folder))


def test_rows_without_with_empty_and_with_several_values_answer_as_before(made):
    assert made["lean"] == made["frozen"] == made["trained"]


def test_columns_are_parsed_densely_and_a_sparse_reader_keeps_its_own(made):
    before, after = made["frozen_ops"], made["lean_ops"]
    assert made["done"]["columns"] == 4  # word, count, gate, fare
    assert before["SparseToDense"] == 7
    assert after["SparseToDense"] == 3  # miles is made dense twice, tags are read as a sparse tensor too


def test_the_bucket_of_unknown_words_is_the_look_ups_default(made):
    assert made["done"]["lookups"] == 1
    assert made["done"]["hashes"] == 1
    assert "StringToHashBucketFast" in made["frozen_ops"]
    assert "StringToHashBucketFast" not in made["lean_ops"]


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("grouped")
    return child("grouped", folder / "log", folder=str(folder))


def test_groups_answer_as_their_columns_one_by_one_before_and_after(grouped):
    for batches in grouped["equal"].values():
        assert len(batches) == 5 and all(batches.values()), grouped["equal"]


def test_groups_are_parsed_densely(grouped):
    assert grouped["columns"] == 6 + 5 + 3  # the five numbers are in two groups
    assert "SparseToDense" not in grouped["ops"] and "UpperBound" not in grouped["ops"]


def test_what_the_operations_of_a_group_compute_is_tried(grouped):
    assert grouped["crossed"] == 0
