from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from taxiway.components.errors import ConfigError
from taxiway.components.metrics import quality_change
from taxiway.components.metrics.weighted import build_metric, decide_classes
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.measurement import quality
from taxiway.components.refusal import Refusal


def binary(rows: int = 500, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    labels = (random.random(rows) < 0.3).astype(float)
    scores = 1 / (1 + np.exp(-(random.normal(size=rows) + labels)))
    return labels, (np.round(scores, 1) if ties else scores)[:, None]


def value(metric: str, labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    weights = np.ones(len(labels)) if weights is None else weights
    return float(build_metric(metric, labels, scores)(weights[None])[0])


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


def compared(metric, labels, scores, reference, resamples=200, seed=0):
    return quality_change.compare_quality([metric], labels, scores, reference, resamples, seed)[metric]


def test_one_class_only_is_not_defined_and_does_not_warn():
    labels, scores = np.zeros(30), np.linspace(0, 1, 30)[:, None]
    found = compared("auc", labels, scores, scores)
    assert np.isnan(found.value.value)
    assert np.isnan(found.drop.high)
    assert found.few == Refusal("0 rows of class 1")


def test_the_paired_interval_is_much_tighter_than_the_metric_s_own():
    labels, scores = binary(2000, ties=False)
    noisy = scores + np.random.default_rng(5).normal(0, 0.01, scores.shape)
    found = compared("auc", labels, noisy, scores)
    own = found.value.high - found.value.low
    assert found.drop.high - found.drop.low < own / 5
    assert found.drop.low <= found.drop.value <= found.drop.high


def test_drop_is_positive_where_the_variant_is_worse():
    labels, scores = binary(1000)
    worse = compared("auc", labels, 1 - scores, scores)
    assert worse.drop.value > 0 and worse.drop.low < worse.drop.value < worse.drop.high
    errors = compared("rmse", np.zeros(50), np.full((50, 1), 1.1), np.ones((50, 1)))
    assert errors.drop.value == pytest.approx(0.1)  # a share of the reference's error


def test_ten_rows_prove_nothing():
    """A variant that moves every probability by 15 points was `worse by at most 0.00000` on ten rows."""
    labels = np.array([0, 1] * 5, float)
    reference = (0.2 + 0.6 * labels)[:, None]
    found = quality_change.compare_quality(["auc", "log_loss"], labels, reference + 0.15, reference, 200, 0)
    assert all(np.isnan(each.drop.high) and each.few == Refusal("5 rows of class 0") for each in found.values())


@pytest.mark.parametrize("metric", ["auc", "accuracy"])
def test_where_no_rank_and_no_decision_changes_the_drop_is_still_not_sure(metric):
    labels = np.array([0, 1] * 100, float)
    reference = (0.2 + 0.6 * labels)[:, None]
    found = compared(metric, labels, reference + 0.05, reference)
    assert found.drop.value == 0.0
    assert found.drop.high > 0.0


def test_answers_that_all_move_are_seen_by_the_loss():
    labels, scores = binary(2000)
    found = quality_change.compare_quality(["auc", "log_loss"], labels, scores**0.5, scores, 200, 0)
    assert found["auc"].drop.high < 0.002
    assert found["log_loss"].drop.low > 0.02


def test_the_same_answers_lose_nothing_whatever_the_rows():
    labels, scores = binary(300, ties=False)
    config = OptimizationConfig()
    nearly = scores + 1e-7
    error = quality.measure_output_error("binary", nearly, scores)
    assert error.same
    found = quality.measure_quality(["accuracy", "log_loss"], labels, nearly, scores, [], config, same=error.same)
    assert found.drop.high == found.drop.value == 0.0
    assert found.also[0].metric == "log_loss" and found.also[0].drop.high < 1e-4
    assert not quality.measure_output_error("binary", scores + 1e-3, scores).same
    assert quality.measure_output_error("regression", scores * 1e6 + 1e-2, scores * 1e6).same


def test_an_unknown_metric_is_refused_with_close_matches():
    with pytest.raises(ConfigError, match="pr_auc"):
        quality_change.check_metric("prauc")


def test_decisions():
    assert decide_classes(np.array([[0.5], [0.6]])).tolist() == [0, 1]
    assert decide_classes(np.array([[0.2, 0.5, 0.3]])).tolist() == [1]
    nearest = np.float32([[0.3], [np.nextafter(np.float32(0.3), np.float32(1))]])
    assert decide_classes(nearest.astype(float), 0.3).tolist() == [0, 1]  # as the served graph compares


def test_a_variant_is_judged_by_the_threshold_that_is_served():
    labels, scores = binary(300, ties=False)
    moved = np.where(scores > 0.3, scores * 0.9, scores)  # decisions at 0.3 change, and others at 0.5
    found = quality.measure_quality(["accuracy"], labels, moved, scores, [], OptimizationConfig(), threshold=0.3)
    assert found.value.value == np.mean((moved[:, 0] > 0.3) == labels)
    assert found.reference == np.mean((scores[:, 0] > 0.3) == labels)
    error = quality.measure_output_error("binary", moved, scores, 0.3)
    assert error.decisions_flipped == np.sum((moved > 0.3) != (scores > 0.3)) > 0
