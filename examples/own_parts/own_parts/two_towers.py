"""A model function: numbers and categories in towers of their own, joined at the end."""

from __future__ import annotations

from typing import Any

import tf_keras


def build_model(features: list[Any], task: str, units: int, width: int = 16) -> tf_keras.Model:
    """Logits `[batch, units]` of transformed features; `model.arguments` may give `width`."""
    inputs = {each.name: tf_keras.Input(each.shape, name=each.name, dtype=each.dtype) for each in features}
    towers = []
    for each in features:
        tensor = inputs[each.name]
        if each.rows:
            tensor = tf_keras.layers.Embedding(each.rows, 4)(tensor)
        towers.append(tf_keras.layers.Dense(width, "relu")(tf_keras.layers.Flatten()(tensor)))
    joined = tf_keras.layers.Concatenate()(towers) if len(towers) > 1 else towers[0]
    return tf_keras.Model(inputs, tf_keras.layers.Dense(units)(joined))
