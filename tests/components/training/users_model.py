"""A user's own model function, with a layer whose Python `if` only autograph can trace."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras


class Halve(tf_keras.layers.Layer):
    """Halves a batch of large values."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if tf.reduce_max(tf.abs(inputs)) > 3.0:
            result = inputs / 2
        else:
            result = inputs
        return result


def build(features: list[Any], task: str, units: int, width: int) -> tf_keras.Model:
    """Dense layers over the numbers alone."""
    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    hidden = tf_keras.layers.Dense(width, "relu")(Halve()(inputs["numeric"]))
    return tf_keras.Model(inputs, tf_keras.layers.Dense(units)(hidden))


class ThroughText(tf_keras.layers.Layer):
    """Adds nothing, by way of strings, which XLA does not know."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + 0 * tf.stop_gradient(tf.strings.to_number(tf.strings.as_string(inputs)))


def build_with_text(features: list[Any], task: str, units: int) -> tf_keras.Model:
    """A linear model that XLA cannot compile."""
    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    return tf_keras.Model(inputs, tf_keras.layers.Dense(units)(ThroughText()(inputs["numeric"])))


def build_for_task(features: list[Any], task: str, units: int, expected: list[Any]) -> tf_keras.Model:
    """A linear model; refuses to be called with another task or number of units than `expected`."""
    if [task, units] != expected:
        raise AssertionError(f"called for {task} with units {units}, not {expected}")
    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    return tf_keras.Model(inputs, tf_keras.layers.Dense(units)(inputs["numeric"]))


def build_too_wide(features: list[Any], task: str, units: int) -> tf_keras.Model:
    """One logit more than the task needs."""
    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    return tf_keras.Model(inputs, tf_keras.layers.Dense(units + 1)(inputs["numeric"]))
