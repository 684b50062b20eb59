"""Gradients of whole tables and of some rows are added, divided, clipped and made dense alike."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.training.config import ClipConfig
from taxiway.components.training.loop import gradients

DENSE = [[3.0], [0.0], [4.0]]


def slices(rows: list[int], values: list[list[float]]) -> tf.IndexedSlices:
    return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([3, 1]))


@pytest.mark.parametrize("gradient", [tf.constant(DENSE), slices([0, 2], [[3.0], [4.0]])])
def test_two_parts_are_added_and_divided(gradient: object) -> None:
    added, loss, weight = gradients.add_sums(([gradient], 1.0, 2.0), ([gradient], 3.0, 4.0))
    halved = gradients.divide_gradient(added[0], tf.constant(2.0))
    np.testing.assert_allclose(tf.convert_to_tensor(halved), DENSE)
    assert (loss, weight) == (4.0, 6.0)


def test_only_small_tables_are_made_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(gradients.densify_gradient(slices([0], [[1.0]])), tf.Tensor)
    monkeypatch.setattr(gradients, "DENSE_GRADIENT_LIMIT", 2)
    assert isinstance(gradients.densify_gradient(slices([0], [[1.0]])), tf.IndexedSlices)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("none", (DENSE, [[12.0]])),
        ("global_norm", ([[3.0 / 13], [0.0], [4.0 / 13]], [[12.0 / 13]])),
        ("norm", ([[3.0 / 5], [0.0], [4.0 / 5]], [[1.0]])),
        ("value", ([[1.0], [0.0], [1.0]], [[1.0]])),
    ],
)
def test_each_clip_limits_what_it_says(by: str, expected: tuple[list, list]) -> None:
    both = [tf.constant(DENSE), tf.constant([[12.0]])]
    config = ClipConfig.model_validate({"by": by, "limit": 1.0})
    clipped = gradients.clip_gradients(config, both, tf.linalg.global_norm(both))
    for found, wanted in zip(clipped, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
