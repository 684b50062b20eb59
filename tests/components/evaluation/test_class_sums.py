"""The sums behind the metrics of classes: parts merge, areas are scikit-learn's, an older model may lack a class."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from taxiway.components.evaluation.metrics import CLASS_METRICS, MODEL_METRICS, ClassSums


def rows(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    scores = random.random((count, 3)) + 0.3 * np.eye(3)[labels]
    scores[::3] = np.round(scores[::3], 1)  # ties
    return labels, scores / scores.sum(axis=1, keepdims=True)


def sums(labels, scores):
    made = ClassSums()
    for part in np.array_split(np.arange(len(labels)), 7):
        made.add_rows(labels[part].astype(float), scores[part])
    return made.fold_pending()


def test_areas_of_classes_are_scikit_learns():
    labels, scores = rows(70_000, 1)  # more than are gathered before they are added
    merged = ClassSums()
    for part in np.array_split(np.arange(len(labels)), 3):
        merged.merge_sums(sums(labels[part], scores[part]))
    merged.merge_sums(ClassSums())
    for index, area in enumerate(CLASS_METRICS["auc"](merged)):
        assert area == pytest.approx(sklearn.roc_auc_score(labels == index, scores[:, index]), abs=1e-12)
    assert MODEL_METRICS["log_loss"](merged) == pytest.approx(sklearn.log_loss(labels, scores), abs=1e-9)


def test_decisions_and_rows():
    labels, scores = rows(300, 2)
    made, decided = sums(labels, scores), scores.argmax(axis=1)
    assert CLASS_METRICS["rows"](made) == pytest.approx(np.bincount(labels))
    assert CLASS_METRICS["f1"](made) == pytest.approx(sklearn.f1_score(labels, decided, average=None))
    assert CLASS_METRICS["precision"](made) == pytest.approx(sklearn.precision_score(labels, decided, average=None))
    assert CLASS_METRICS["recall"](made) == pytest.approx(sklearn.recall_score(labels, decided, average=None))
    assert MODEL_METRICS["accuracy"](made) == pytest.approx(sklearn.accuracy_score(labels, decided))


def test_a_class_that_the_model_does_not_have_is_wrong_and_certain():
    made = sums(np.array([0, 1, 2, 2]), np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6]]))
    assert MODEL_METRICS["accuracy"](made) == 0.5
    assert MODEL_METRICS["log_loss"](made) == pytest.approx((-np.log(0.9) - np.log(0.8) - 2 * np.log(1e-7)) / 4)
    assert CLASS_METRICS["rows"](made).tolist() == [1, 1]


def test_no_rows_have_no_metrics():
    assert np.isnan(MODEL_METRICS["accuracy"](ClassSums())) and len(CLASS_METRICS["auc"](ClassSums())) == 0
