"""The binary metrics against scikit-learn's, which shares no code with them."""

import numpy as np
import pytest

from components.evaluation.binary import BINARY_METRICS, Scores


def rows(count: int = 3000, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.2).astype(np.int64)
    scores = np.clip(random.normal(0.3 + 0.3 * labels, 0.2), 0.001, 0.999)
    scores[::5] = np.round(scores[::5], 1)  # ties
    return labels, scores


def totals(labels: np.ndarray, scores: np.ndarray) -> Scores:
    made = Scores()
    for label, score in zip(labels, scores, strict=True):
        made.add(float(label), float(score))
    return made.fold()


def test_what_scikit_learn_computes():
    from sklearn import metrics

    labels, scores = rows()
    found = {kind: metric(totals(labels, scores)) for kind, metric in BINARY_METRICS.items()}
    assert found["pr_auc"] == pytest.approx(metrics.average_precision_score(labels, scores), abs=1e-12)
    assert (found["positives"], found["judged_rows"]) == (labels.sum(), labels.sum())
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, scores), abs=1e-9)
    assert found["accuracy"] == pytest.approx(np.mean((scores > 0.5) == labels), abs=1e-12)
    assert found["calibration"] == pytest.approx(scores.sum() / labels.sum(), abs=1e-12)


def test_parts_merge_to_the_whole():
    labels, scores = rows(20_000)  # more than are noted before the first fold
    whole, merged = totals(labels, scores), Scores()
    for part in np.array_split(np.arange(len(labels)), 7):
        merged.merge(totals(labels[part], scores[part]))
    assert merged.rows == whole.rows == 20_000
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
    assert all(np.isnan(metric(Scores())) for name, metric in BINARY_METRICS.items() if name not in counts)
    assert all(BINARY_METRICS[name](Scores()) == 0 for name in counts)
