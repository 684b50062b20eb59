"""Scores of models that are not ours, in the form of ours. No TensorFlow."""

import numpy as np
import pytest

from taxiway.components.errors import DataError
from taxiway.components.optimizer.measurement.score_values import check_classes, convert_scores, find_scale

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])


def convert(scores, task):
    return convert_scores(scores, task, find_scale(scores, task))


def test_logits_become_probabilities_and_keep_their_order():
    probabilities = convert(LOGITS, "multiclass")
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert (np.argsort(probabilities) == np.argsort(LOGITS)).all()
    assert convert(np.array([[3.0], [-3.0]]), "binary")[:, 0] == pytest.approx([0.95257, 0.04743], abs=1e-5)
    assert convert(LOGITS[:, :2], "binary").shape == (2, 1)


def test_probabilities_and_values_stay_as_they_are():
    probabilities = np.array([[0.2, 0.8], [0.5, 0.5]])
    assert (convert(probabilities, "multiclass") == probabilities).all()
    assert convert(probabilities, "binary").tolist() == [[0.8], [0.5]]
    assert convert(np.array([0.3, 0.9]), "binary").tolist() == [[0.3], [0.9]]
    assert convert(np.array([-5.0, 70.0]), "regression").tolist() == [[-5.0], [70.0]]


def test_small_logits_are_seen_by_their_sum():
    assert find_scale(np.array([[0.1, 0.4, 0.2]]), "multiclass") == "logits"


def test_a_variants_rounding_does_not_change_what_its_scores_are():
    """The reference has told; an int8 variant may leave the range."""
    assert convert_scores(np.array([[1.01], [-0.01]]), "binary", "probabilities").tolist() == [[1.01], [-0.01]]


@pytest.mark.parametrize(
    ("scores", "task"),
    [
        (LOGITS, "binary"),
        (LOGITS, "regression"),
        (np.zeros((2, 1)), "multiclass"),
        (np.zeros((2, 3, 3)), "multiclass"),
    ],
)
def test_a_shape_that_is_not_the_tasks_is_refused(scores, task):
    with pytest.raises(DataError, match="prediction output"):
        convert(scores, task)


def test_a_label_without_a_score_is_refused():
    check_classes(LOGITS, np.array([0.0, 2.0]), "multiclass")
    with pytest.raises(DataError, match=r"A label is 3, and the model has scores of 3 classes"):
        check_classes(LOGITS, np.array([0.0, 3.0]), "multiclass")
