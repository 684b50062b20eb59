"""Areas under curves against scikit-learn's, which shares no code with them: ties, weights, one class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from taxiway.components.metrics import auc_intervals
from taxiway.components.metrics.curve_areas import compute_average_precision, compute_roc_auc, count_by_score
from taxiway.components.metrics.score_counts import ScoreCounts
from taxiway.components.metrics.weighted import build_metric

TABLES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 1e-9, 0.1, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1)),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({label for label, _ in rows}) == 2)


@settings(max_examples=80, deadline=None)
@given(TABLES)
def test_both_areas_are_scikit_learns(rows):
    positive, scores = np.array([label for label, _ in rows]), np.array([score for _, score in rows])
    counted = count_by_score(positive, scores)
    assert float(compute_roc_auc(*counted)) == pytest.approx(sklearn.roc_auc_score(positive, scores), abs=1e-9)
    expected = sklearn.average_precision_score(positive, scores)
    assert float(compute_average_precision(*counted)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_the_interval_is_around_the_same_area(rows):
    """DeLong's placements are counted another way, and their mean is the area that is shown."""
    positive, scores = np.array([label for label, _ in rows]), np.array([score for _, score in rows])
    own, others = auc_intervals._compute_placements(positive, scores)
    shown = float(compute_roc_auc(*count_by_score(positive, scores)))
    assert own.mean() == pytest.approx(shown, abs=1e-9)
    assert others.mean() == pytest.approx(shown, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(0, 2**32 - 1))
def test_weights_count_as_scikit_learns(rows, seed):
    positive, scores = np.array([label for label, _ in rows]), np.array([score for _, score in rows])
    weights = np.random.default_rng(seed).integers(1, 5, len(rows)).astype(float)
    for name, theirs in (("auc", sklearn.roc_auc_score), ("pr_auc", sklearn.average_precision_score)):
        ours = build_metric(name, positive.astype(float), scores[:, None])(weights[None])[0]
        assert ours == pytest.approx(theirs(positive, scores, sample_weight=weights), abs=1e-9)


def test_one_class_has_no_area_and_does_not_warn():
    everything = np.ones(4)
    assert np.isnan(compute_roc_auc(everything, np.zeros(4)))
    assert np.isnan(compute_average_precision(np.zeros(4), everything))
    assert compute_average_precision(everything, np.zeros(4)) == 1.0


def test_parts_of_counts_merge_to_the_whole():
    random = np.random.default_rng(1)
    scores, positive = random.random(3000), random.random(3000) < 0.3
    whole, merged = ScoreCounts(), ScoreCounts()
    whole.add_rows(scores, positive.astype(float), (~positive).astype(float))
    for part in np.array_split(np.arange(3000), 4):
        piece = ScoreCounts()
        piece.add_rows(scores[part], positive[part].astype(float), (~positive[part]).astype(float))
        merged.merge_counts(piece)
    np.testing.assert_array_equal(merged.score, whole.score)
    np.testing.assert_array_equal(merged.own, whole.own)


def test_memory_has_a_bound_and_the_area_hardly_moves():
    random = np.random.default_rng(2)
    positive = random.random(200_000) < 0.1
    scores = 1 / (1 + np.exp(-(random.normal(size=200_000) * 4 + positive - 6)))  # most of them far below a thousandth
    made = ScoreCounts(most=20_000)
    for part in np.array_split(np.arange(200_000), 10):
        made.add_rows(scores[part], positive[part].astype(float), (~positive[part]).astype(float))
    assert len(made.score) <= 20_000 and made.own.sum() == positive.sum()
    area = float(compute_roc_auc(made.own, made.others))
    assert area == pytest.approx(sklearn.roc_auc_score(positive, scores), abs=1e-4)
