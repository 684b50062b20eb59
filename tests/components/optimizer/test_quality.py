from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from components.errors import ConfigError
from components.optimizer import quality


def binary(rows: int = 500, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    labels = (random.random(rows) < 0.3).astype(float)
    scores = 1 / (1 + np.exp(-(random.normal(size=rows) + labels)))
    return labels, (np.round(scores, 1) if ties else scores)[:, None]


def value(metric: str, labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    weights = np.ones(len(labels)) if weights is None else weights
    return float(quality.METRICS[metric](labels, scores)(weights[None])[0])


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize(
    ("metric", "theirs"),
    [
        ("auc", sklearn_metrics.roc_auc_score),
        ("pr_auc", sklearn_metrics.average_precision_score),
        ("log_loss", sklearn_metrics.log_loss),
    ],
)
def test_binary_metrics_equal_sklearns_with_and_without_weights(metric, theirs, ties):
    labels, scores = binary(ties=ties)
    scores = np.clip(scores, 0.01, 0.99)
    weights = np.random.default_rng(2).integers(0, 4, len(labels)).astype(float)
    assert value(metric, labels, scores) == pytest.approx(theirs(labels, scores[:, 0]), abs=1e-9)
    expected = theirs(labels, scores[:, 0], sample_weight=weights)
    assert value(metric, labels, scores, weights) == pytest.approx(expected, abs=1e-9)


def test_metrics_of_the_other_tasks():
    random = np.random.default_rng(3)
    scores = random.dirichlet([1, 1, 1], 200)
    labels = random.integers(0, 3, 200).astype(float)
    assert value("accuracy", labels, scores) == pytest.approx((scores.argmax(1) == labels).mean())
    assert value("log_loss", labels, scores) == pytest.approx(sklearn_metrics.log_loss(labels, scores))
    predicted = labels[:, None] + 0.5
    assert value("rmse", labels, predicted) == pytest.approx(0.5)
    assert value("mae", labels, predicted) == pytest.approx(0.5)


def test_one_class_only_is_not_defined_and_does_not_warn():
    labels, scores = np.zeros(10), np.linspace(0, 1, 10)[:, None]
    compared = quality.compare("auc", labels, scores, scores, 50, 0)
    assert np.isnan(compared.value.value)
    assert np.isnan(compared.drop.high)


def test_the_paired_interval_is_much_tighter_than_the_metric_s_own():
    labels, scores = binary(2000, ties=False)
    noisy = scores + np.random.default_rng(5).normal(0, 0.01, scores.shape)
    compared = quality.compare("auc", labels, noisy, scores, 300, 0)
    own = compared.value.high - compared.value.low
    assert compared.drop.high - compared.drop.low < own / 5
    assert compared.drop.low <= compared.drop.value <= compared.drop.high


def test_the_interval_holds_the_true_value_about_95_times_of_100():
    random, hits = np.random.default_rng(7), 0
    for seed in range(100):
        errors = random.normal(0, 1, 120)
        compared = quality.compare("mse", np.zeros(120), errors[:, None], np.ones((120, 1)), 200, seed)
        hits += compared.value.low <= 1.0 <= compared.value.high
    assert 85 <= hits <= 100


def test_drop_is_positive_where_the_variant_is_worse():
    labels, scores = binary(1000)
    worse = quality.compare("auc", labels, 1 - scores, scores, 100, 0)
    assert worse.drop.value > 0
    errors = quality.compare("rmse", np.zeros(50), np.full((50, 1), 1.1), np.ones((50, 1)), 100, 0)
    assert errors.drop.value == pytest.approx(0.1)  # a share of the reference's error


def test_weights_count_how_often_a_row_was_drawn_and_chunks_do_not_matter():
    whole = np.concatenate(list(quality.resampled_weights(50, 20, 3)))
    assert whole.shape == (20, 50)
    assert (whole.sum(axis=1) == 50).all()
    chunked = np.concatenate(list(quality.resampled_weights(50, 20, 3, cells=120)))
    np.testing.assert_array_equal(whole, chunked)


def test_an_unknown_metric_is_refused_with_close_matches():
    with pytest.raises(ConfigError, match="pr_auc"):
        quality.check_metric("prauc")


def test_decisions():
    assert quality.decisions(np.array([[0.5], [0.6]])).tolist() == [0, 1]
    assert quality.decisions(np.array([[0.2, 0.5, 0.3]])).tolist() == [1]
