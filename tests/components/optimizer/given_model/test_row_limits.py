"""How many rows are read, and how many are kept."""

import numpy as np
import pytest

from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.given_model.row_limits import measure_bytes, take_parts
from taxiway.components.optimizer.given_model.rows import fit_rows


@pytest.mark.parametrize(
    ("most_parts", "most_bytes", "taken", "told"),
    [
        (9, 1e9, 4, ""),
        (4, 1e9, 4, ""),
        (3, 1e9, 3, "of them the first 3"),
        (9, 25e6, 2, "of them the first 2, which are 25 MB"),
        (9, 1.0, 1, "of them the first 1, which are 0 MB"),
    ],
)
def test_what_is_not_read_of_a_file_is_said(most_parts, most_bytes, taken, told):
    found = take_parts(iter("abcd"), most_parts, lambda _: 10e6, most_bytes)
    assert found == (list("abcd")[:taken], told)


def test_bytes_of_texts_are_their_lengths():
    assert measure_bytes({"a": np.zeros((2, 3), np.float32), "b": np.array([b"four", b""], object)}) == 28


def fit(seconds=1e-6, row_bytes=4.0, answer_bytes=4.0, fixed=1, **config):
    return fit_rows(OptimizationConfig(quality_rows=1000, **config), seconds, row_bytes, answer_bytes, fixed)


def test_small_rows_are_as_many_as_asked_for():
    fitted = fit()
    assert (fitted.judging, fitted.tuning, fitted.told) == (1000, 4000, "")


def test_rows_of_images_are_as_many_as_the_memory_takes():
    """224 x 224 x 3 of float32: 1000 of them to judge and 4000 to learn were 3 GB, and twice that while drawn."""
    fitted = fit(row_bytes=224 * 224 * 3 * 4)
    assert fitted.judging == fitted.tuning == 664
    assert fitted.told == (
        "of rows of 0.60 MB and answers of 0.00 MB, no more of the 1000 asked for are held in memory"
    )


def test_large_answers_count_too():
    """A BERT encoder's sequence of 128 vectors of 768 numbers."""
    assert fit(answer_bytes=128 * 768 * 4).judging == 325


def test_a_slow_model_gets_as_many_as_its_budget_allows_and_32_at_least():
    fitted = fit(seconds=0.1, budget_seconds=180)
    assert fitted.judging == 180
    assert fitted.told == "the budget of 180 s allows no more of the 1000 asked for"
    assert fit(seconds=5.0, budget_seconds=180).judging == 32


def test_calls_of_a_fixed_number_of_rows_are_full():
    fitted = fit(row_bytes=1e6, fixed=7)
    assert fitted.judging % 7 == fitted.tuning % 7 == 0
    assert fit(row_bytes=1e9, fixed=7).judging == 7
    assert fit(fixed=7).told == ""
