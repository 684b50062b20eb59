import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.metrics import calibration_error as ece
from taxiway.components.metrics.intervals import ScorePair, compare_metrics


def draw_rows(rows: int, tilt: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of probabilities that are `tilt` higher than said."""
    random = np.random.default_rng(seed)
    scores = random.uniform(0.1, 0.8, rows)
    return (random.random(rows) < scores + tilt).astype(float), scores


@given(st.integers(1, 300), st.integers(0, 10_000), st.booleans())
def test_bins_are_those_of_scikit_learns_calibration_curve(rows, seed, rounded):
    from sklearn.calibration import calibration_curve

    random = np.random.default_rng(seed)
    scores, labels = random.random(rows), (random.random(rows) < 0.5).astype(float)
    scores = np.round(scores * 15) / 15 if rounded else scores  # on the edges of the bins
    shares, means = calibration_curve(labels, scores, n_bins=ece.BINS, strategy="uniform")
    counts = np.bincount(ece.assign_bins(scores), minlength=ece.BINS)
    wanted = (np.abs(shares - means) * counts[counts > 0]).sum() / rows
    assert ece.compute_calibration_error(ece.sum_gaps(labels, scores), rows) == pytest.approx(wanted, abs=1e-12)


def test_a_calibrated_model_may_have_no_error_at_all():
    limits = ece.compute_calibration_limits(*draw_rows(2000, 0.0))
    assert limits.low == 0.0 < limits.value < limits.high < 0.08


def test_an_error_that_is_there_is_seen_and_as_large_as_it_is():
    limits = ece.compute_calibration_limits(*draw_rows(5000, 0.15))
    assert 0.1 < limits.low < 0.15 < limits.high < 0.2


def test_one_row_in_a_bin_is_as_unsure_as_its_score_says():
    limits = ece.compute_calibration_limits(np.array([1.0]), np.array([0.5]))
    assert (limits.low, limits.value, limits.high) == (0.0, 0.5, 1.0)


def test_a_change_is_surer_the_more_the_models_differ():
    labels, scores = draw_rows(3000, 0.0)
    pair = ScorePair(labels, (scores * 0.5)[:, None], scores[:, None])
    change = compare_metrics(["ece"], pair, 200, 1)["ece"].change
    assert 0.1 < change.low < change.value < change.high


def test_no_rows_have_no_error():
    assert np.isnan(ece.compute_calibration_error(np.zeros(ece.BINS), 0))
