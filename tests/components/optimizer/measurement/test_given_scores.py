"""Scores of a given model's outputs."""

from __future__ import annotations

import numpy as np
import pytest

from taxiway.components.errors import DataError
from taxiway.components.optimizer.measurement.given_scores import convert_scores


def test_a_variant_is_read_on_the_scale_of_the_original():
    """The original's are logits; the variant's happen to lie between 0 and 1, and are logits all the same."""
    logits, flat = np.float32([[-4.0], [4.0]]), np.float32([[0.2], [0.8]])
    scores, original = convert_scores("binary", flat, logits)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-flat)), rtol=1e-6)
    np.testing.assert_allclose(original, 1 / (1 + np.exp(-logits)), rtol=1e-6)
    scores, _ = convert_scores("binary", np.float32([[-0.01], [1.02]]), flat)  # probabilities, by rounding outside
    assert scores.ravel().tolist() == pytest.approx([-0.01, 1.02])


def test_an_output_of_another_width_is_the_users_mistake():
    with pytest.raises(DataError, match=r"3 numbers a row(.|\n)*--output-name"):
        convert_scores("binary", np.zeros((2, 3)), np.zeros((2, 3)))
