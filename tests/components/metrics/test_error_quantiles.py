import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.metrics import error_quantiles as quantiles
from taxiway.components.metrics.intervals import ScorePair, compare_metrics
from taxiway.components.metrics.weighted import build_metric


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 4)), min_size=1, max_size=60), st.floats(0, 1))
def test_weights_count_how_often_a_value_occurs(rows, share):
    values, weights = np.array(sorted(value for value, _ in rows)), np.array([float(times) for _, times in rows])
    found = quantiles.compute_quantile(values, np.stack([weights, weights]), share)
    occurring = np.repeat(values, weights.astype(int))
    wanted = np.quantile(occurring, share) if len(occurring) else np.nan
    assert found == pytest.approx([wanted, wanted], nan_ok=True, rel=1e-6, abs=1e-6)


def test_scikit_learns_median_absolute_error():
    from sklearn.metrics import median_absolute_error

    random = np.random.default_rng(2)
    for rows in (7, 8, 501):
        labels, said = random.normal(size=rows), random.normal(size=rows)
        metric = build_metric("median_absolute_error", labels, said[:, None])
        assert metric(np.ones((1, rows)))[0] == pytest.approx(median_absolute_error(labels, said), abs=1e-12)


def test_the_fewest_rows_are_those_whose_ends_can_hold_the_quantile():
    assert (quantiles.count_rows_needed(0.5), quantiles.count_rows_needed(0.9)) == (6, 36)
    assert np.isnan(quantiles.compute_quantile_interval(np.arange(35.0), 0.9)).all()
    assert np.isfinite(quantiles.compute_quantile_interval(np.arange(36.0), 0.9)).all()


def test_order_statistics_as_published():
    """Conover, Practical Nonparametric Statistics: of 16 values, the median lies between the 4th and the 13th."""
    assert quantiles.compute_quantile_interval(np.arange(1.0, 17.0), 0.5) == (4.0, 13.0)


def test_thirty_rows_say_too_little_of_the_ninth_tenth_and_enough_of_the_middle():
    random = np.random.default_rng(3)
    pair = ScorePair(random.normal(size=30), random.normal(size=(30, 1)), random.normal(size=(30, 1)))
    found = compare_metrics(quantiles.QUANTILES, pair, 200, 1)
    assert str(found["p90_absolute_error"].few) == "30 rows" and np.isnan(found["p90_absolute_error"].change.low)
    assert found["median_absolute_error"].few is None and np.isfinite(found["median_absolute_error"].change.low)
