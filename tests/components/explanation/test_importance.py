"""Permutation importance against scikit-learn's own, on the same model and rows."""

import numpy as np
import pytest

from taxiway.components.explanation.importance import ColumnImportance, group_columns, measure_importance
from taxiway.components.explanation.scored_model import Deadline, ScoredModel
from tests.components.explanation.rows import make_rows, read_table

NAMES = ("strong", "weak", "none")
ROWS, REPEATS = 500, 60


def draw_table():
    random = np.random.default_rng(0)
    table = np.round(random.normal(size=(ROWS, 3)), 3)
    return table, (3 * table[:, 0] + table[:, 1] + 0.1 * random.normal(size=ROWS) > 0).astype(float)


def predict(serialized):
    table = read_table(serialized, *NAMES)
    return (1 / (1 + np.exp(-3 * table[:, 0] - table[:, 1])))[:, None]


def measure(deadline, groups=None, repeats=REPEATS, metric="auc"):
    table, labels = draw_table()
    rows = make_rows(**{name: [float(value) for value in table[:, at]] for at, name in enumerate(NAMES)})
    groups = groups or {name: (name,) for name in NAMES}
    return measure_importance(ScoredModel(predict, "binary", metric), rows, labels, groups, repeats, 1, deadline)


def test_as_scikit_learn():
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.inspection import permutation_importance

    class Model(ClassifierMixin, BaseEstimator):
        classes_, fitted_ = np.array([0, 1]), True

        def fit(self, table, labels):
            return self

        def predict_proba(self, table):
            score = 1 / (1 + np.exp(-3 * table[:, 0] - table[:, 1]))
            return np.stack([1 - score, score], axis=1)

        def predict(self, table):
            return (self.predict_proba(table)[:, 1] > 0.5).astype(int)

    theirs = permutation_importance(Model(), *draw_table(), scoring="roc_auc", n_repeats=REPEATS, random_state=0)
    found = measure(Deadline(300))
    assert [each.name for each in found] == list(NAMES)
    for each, mean, spread in zip(found, theirs.importances_mean, theirs.importances_std, strict=True):
        assert each.mean == pytest.approx(mean, abs=5 * spread / REPEATS**0.5 + 1e-12)
        low, high = each.limits
        assert high - low == pytest.approx(2 * 2.0 * spread / REPEATS**0.5, rel=0.35, abs=1e-12)
    assert found[-1].losses == (0.0,) * REPEATS  # the model does not read it


def test_a_loss_is_importance_too_where_less_is_better():
    assert [each.name for each in measure(Deadline(60), repeats=3, metric="log_loss")] == list(NAMES)


def test_columns_of_a_group_move_together():
    groups = {"both": ("strong", "weak"), "none": ("none",)}
    both, none = measure(Deadline(60), groups, repeats=3)
    assert both.name == "both" and both.mean > 0.4 > none.mean == 0.0


def test_when_the_time_is_over_repeats_are_lacking_not_columns():
    ticks = iter(range(1000))
    found = measure(Deadline(5, lambda: float(next(ticks))), repeats=9)
    assert sorted(len(each.losses) for each in found) == [1, 2, 2]
    assert all(each.limits is None for each in found)
    found = measure(Deadline(-1))
    assert [each.losses for each in found] == [(), (), ()] and np.isnan(found[0].mean)


def test_an_interval_is_students():
    """Of -1, 0 and 1 the standard error is .577; Student's quantile at two degrees of freedom is 4.303."""
    low, high = ColumnImportance("a", ("a",), (-1.0, 0.0, 1.0)).limits
    assert (low, high) == pytest.approx((-2.484, 2.484), rel=0.04)


def test_each_column_is_in_one_group():
    columns = ["when_month", "when_hour", "lat", "lon", "fare", "day_part", "day"]
    calendar = {"when": ["when_month", "when_hour", "when_minute"], "day": ["day_part", "fare"], "gone": ["gone_hour"]}
    groups = group_columns(columns, calendar, {"place": ["lat", "lon"]})
    assert groups == {
        "place": ("lat", "lon"),
        "when": ("when_month", "when_hour"),
        "day (day_part, fare)": ("day_part", "fare"),
        "day": ("day",),
    }
    assert group_columns(["when_month"], calendar, {}) == {"when_month": ("when_month",)}
