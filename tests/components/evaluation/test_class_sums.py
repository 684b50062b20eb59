"""The sums behind the metrics of classes: parts merge, weights count, areas are scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from components.evaluation.metrics import CLASS_METRICS, ClassSums


def rows(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    scores = random.random((count, 3)) + 0.3 * np.eye(3)[labels]
    scores[::3] = np.round(scores[::3], 1)  # ties
    return labels, scores, random.integers(1, 4, count).astype(float)


def sums(labels, scores, weights):
    made = ClassSums(3)
    for row in zip(labels, scores, weights, strict=True):
        made.add(*row)
    return made.fold()


@pytest.mark.parametrize("weighted", [False, True])
def test_areas_of_classes_are_scikit_learns(weighted):
    labels, scores, weights = rows(5000, 1)  # more than are noted before the first fold
    weights = weights if weighted else np.ones(len(labels))
    parts = [sums(labels[part], scores[part], weights[part]) for part in np.array_split(np.arange(len(labels)), 3)]
    found = CLASS_METRICS["auc"](parts[0] + parts[1] + parts[2])
    for index in range(3):
        own = labels == index
        assert found[index] == pytest.approx(sklearn.roc_auc_score(own, scores[:, index], sample_weight=weights))


def test_decisions_and_rows():
    labels, scores, _ = rows(300, 2)
    made, decided = sums(labels, scores, np.ones(300)), scores.argmax(axis=1)
    assert CLASS_METRICS["rows"](made) == pytest.approx(np.bincount(labels))
    assert CLASS_METRICS["f1"](made) == pytest.approx(sklearn.f1_score(labels, decided, average=None))
    assert CLASS_METRICS["precision"](made) == pytest.approx(sklearn.precision_score(labels, decided, average=None))
    assert CLASS_METRICS["recall"](made) == pytest.approx(sklearn.recall_score(labels, decided, average=None))
