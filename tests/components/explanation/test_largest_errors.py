import numpy as np
import pytest

from taxiway.components.explanation.largest_errors import LONGEST_TEXT, list_largest_errors
from tests.components.explanation.rows import make_rows


def test_a_regression_s_by_distance():
    rows = make_rows(a=[1, 2, 3], text=["x", "y" * 500, None])
    found = list_largest_errors("regression", rows, np.array([1.0, 5.0, 3.0]), np.array([[1.5], [1.0], [3.1]]), (), 2)
    assert [(each.label, each.predicted, each.error) for each in found] == [(5.0, 1.0, 4.0), (1.0, 1.5, 0.5)]
    assert found[0].values["a"] == 2 and len(found[0].values["text"]) == LONGEST_TEXT + 1


def test_a_classifier_s_by_the_score_of_the_row_s_own_class():
    rows = make_rows(a=[1, 2, 3])
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])
    (found,) = list_largest_errors("multiclass", rows, np.array([0.0, 1.0, 1.0]), scores, ("no", "yes"), 1)
    assert (found.label, found.predicted) == ("no", pytest.approx(0.1))
    assert found.error == pytest.approx(-np.log(0.1))
    (binary,) = list_largest_errors("binary", rows, np.array([1.0, 0.0, 0.0]), np.array([[0.9], [0.7], [0.1]]), (), 1)
    assert (binary.label, binary.predicted) == (0, pytest.approx(0.3))


def test_no_answer_is_the_largest_error():
    scores = np.array([[9.0], [np.nan]])
    found = list_largest_errors("regression", make_rows(a=[1, 2]), np.zeros(2), scores, (), 2)
    assert [(each.values["a"], each.error) for each in found] == [(2, None), (1, 9.0)]
