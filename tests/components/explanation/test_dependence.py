"""Partial dependence against scikit-learn's brute-force one, at the same values."""

import numpy as np
import pytest

from taxiway.components.explanation.dependence import NUMBER_POINTS, choose_values, measure_dependence
from taxiway.components.explanation.scored_model import Deadline, ScoredModel
from tests.components.explanation.rows import make_rows, read_table


def predict(serialized):
    table = read_table(serialized, "a", "b")
    return (table[:, 0] ** 2 + table[:, 0] * table[:, 1])[:, None]


def measure(columns=("a",), deadline=None, **values):
    model = ScoredModel(predict, "regression", "rmse")
    return measure_dependence(model, make_rows(**values), columns, deadline or Deadline(60))


def test_as_scikit_learn():
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.inspection import partial_dependence

    class Model(RegressorMixin, BaseEstimator):
        def __sklearn_is_fitted__(self):
            return True

        def fit(self, table, labels):
            return self

        def predict(self, table):
            return table[:, 0] ** 2 + table[:, 0] * table[:, 1]

    table = np.round(np.random.default_rng(4).normal(size=(200, 2)), 2).astype(np.float32).astype(float)
    (found,) = measure(a=table[:, 0].tolist(), b=table[:, 1].tolist())
    grid = np.array([point.value for point in found.points])
    assert found.is_number and len(grid) == NUMBER_POINTS and set(grid) <= set(table[:, 0])
    for value, point in zip(grid, found.points, strict=True):
        moved = np.column_stack([np.full(200, value), table[:, 1]])
        # scikit-learn takes a grid of quantiles only, so its brute force is asked at one value, twice.
        theirs = partial_dependence(Model(), moved, [0], method="brute", kind="average", grid_resolution=2)
        assert point.mean[0] == pytest.approx(float(theirs["average"].ravel()[0]), abs=1e-5)


def test_few_values_are_each_one_and_a_missing_one_is_a_value():
    (found,) = measure(a=[2.0, 1.0, 1.0, None], b=[0.0, 0.0, 0.0, 0.0])
    assert [(point.value, point.share) for point in found.points] == [(1.0, 0.5), (2.0, 0.25), (None, 0.25)]
    assert found.is_number and [point.mean for point in found.points] == [[1.0], [4.0], [1.0]]  # missing is read as -1
    assert choose_values([3, 1, 3]) == [(1, pytest.approx(1 / 3)), (3, pytest.approx(2 / 3))]


def test_words_by_frequency():
    words = ["b"] * 3 + ["a"] * 2 + [None] + [f"w{number}" for number in range(20)]
    values = choose_values(words)
    assert values[:2] == [("b", 3 / 26), ("a", 2 / 26)] and values[-1] == (None, 1 / 26) and len(values) == 11


def test_columns_beyond_the_time_are_left_out():
    assert measure(("a", "b"), Deadline(-1), a=[1.0], b=[2.0]) == []
