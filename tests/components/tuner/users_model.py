"""A user's own function, for the search of its arguments."""

from __future__ import annotations

from typing import Any


def build_model(
    features: Any, task: str, units: int, size: int = 4, dropout: float = 0.2, bias: bool = True, name: str = "mine"
) -> Any:
    import tf_keras

    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    numbers = [tensor for tensor in inputs.values() if tensor.dtype == "float32"]
    hidden = tf_keras.layers.Dense(size, "relu", use_bias=bias)(tf_keras.layers.Concatenate()(numbers))
    return tf_keras.Model(inputs, tf_keras.layers.Dense(units)(tf_keras.layers.Dropout(dropout)(hidden)), name=name)
