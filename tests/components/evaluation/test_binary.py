"""The binary metrics against scikit-learn's, which shares no code with them."""

import numpy as np
import pytest

from taxiway.components.evaluation.binary import BINARY_METRICS, BinarySums
from taxiway.components.evaluation.config import METRICS
from taxiway.components.metrics.weighted import build_metric


def rows(count: int = 3000, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.2).astype(np.int64)
    scores = np.clip(random.normal(0.3 + 0.3 * labels, 0.2), 0.001, 0.999)
    scores[::5] = np.round(scores[::5], 1)  # ties
    return labels, scores


def totals(labels: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> BinarySums:
    made = BinarySums(threshold)
    for part in np.array_split(np.arange(len(labels)), 9):
        made.add_rows(labels[part].astype(np.float64), scores[part][:, None])
    return made.fold_pending()


@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_what_scikit_learn_computes(threshold):
    from sklearn import metrics

    labels, scores = rows()
    found = {kind: metric(totals(labels, scores, threshold)) for kind, metric in BINARY_METRICS.items()}
    decided = scores > np.float32(threshold)
    assert found["pr_auc"] == pytest.approx(metrics.average_precision_score(labels, scores), abs=1e-12)
    assert (found["positives"], found["judged_rows"]) == (labels.sum(), labels.sum())
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, scores), abs=1e-9)
    assert found["accuracy"] == pytest.approx(np.mean(decided == labels), abs=1e-12)
    assert found["calibration"] == pytest.approx(scores.sum() / labels.sum(), abs=1e-12)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(labels, scores), abs=1e-12)
    assert found["precision"] == pytest.approx(metrics.precision_score(labels, decided), abs=1e-12)
    assert found["recall"] == pytest.approx(metrics.recall_score(labels, decided), abs=1e-12)
    assert found["f1"] == pytest.approx(metrics.f1_score(labels, decided), abs=1e-12)


@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_the_evaluator_and_the_intervals_have_the_same_values(threshold):
    labels, scores = rows()
    found = {kind: metric(totals(labels, scores, threshold)) for kind, metric in BINARY_METRICS.items()}
    for name in METRICS["binary"]:
        whole = build_metric(name, labels.astype(float), scores[:, None], (), threshold)(np.ones((1, len(labels))))
        assert found[name] == pytest.approx(float(whole[0]), abs=1e-9), name


def test_no_row_decided_for_the_positive_class():
    made = totals(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3]))
    assert [BINARY_METRICS[kind](made) for kind in ("precision", "recall", "f1")] == [0.0, 0.0, 0.0]


def test_parts_merge_to_the_whole():
    labels, scores = rows(70_000)  # more than are noted before the first fold
    whole, merged = totals(labels, scores), BinarySums()
    for part in np.array_split(np.arange(len(labels)), 7):
        merged.merge_sums(totals(labels[part], scores[part]))
    assert merged.rows == whole.rows == 70_000
    for metric in BINARY_METRICS.values():
        assert metric(merged) == pytest.approx(metric(whole), abs=1e-9)


def test_scores_far_below_a_millionth_keep_their_rank():
    labels, scores = rows()
    assert BINARY_METRICS["auc"](totals(labels, scores * 1e-9)) == BINARY_METRICS["auc"](totals(labels, scores))


def test_one_class_has_no_rank():
    made = totals(np.zeros(10), np.linspace(0, 1, 10))
    assert np.isnan(BINARY_METRICS["auc"](made))
    assert np.isnan(BINARY_METRICS["pr_auc"](made))
    assert np.isnan(BINARY_METRICS["calibration"](made))
    assert BINARY_METRICS["accuracy"](made) == 0.5
    assert np.isfinite(BINARY_METRICS["log_loss"](made))  # a certain, wrong answer included


def test_a_model_that_answers_nan_has_no_auc():
    made = totals(np.array([0, 1, 1]), np.array([0.1, np.nan, 0.9]))
    assert np.isnan(BINARY_METRICS["auc"](made))
    assert np.isnan(BINARY_METRICS["calibration"](made))
    assert np.isnan(BINARY_METRICS["log_loss"](made))


def test_no_rows_have_no_metrics():
    counts = {"positives", "judged_rows"}
    assert all(np.isnan(metric(BinarySums())) for name, metric in BINARY_METRICS.items() if name not in counts)
    assert all(BINARY_METRICS[name](BinarySums()) == 0 for name in counts)
