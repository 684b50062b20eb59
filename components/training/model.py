"""The model that is trained: the built-in one, or the user's own function.

A model maps a dict of dense transformed features, `{name: [batch, *shape]}`, to logits: float32 `[batch, 1]` (binary,
or a regression in the label's own unit) or `[batch, classes]`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from components.contract import Task
from components.dotted import imported
from components.errors import ConfigError, DataError
from components.training import schema
from components.training.config import ModelConfig
from components.training.job import LabelScale, TrainingJob
from components.training.layers import Affine, Clip, Dropout, OffsetEmbedding
from components.training.tracing import keep_keras_unconverted


def build_model(job: TrainingJob) -> tf_keras.Model:
    """The job's model with fresh weights.

    Raises:
        ConfigError: the user's function cannot be imported, or does not return a Keras model.
        DataError: the built-in model cannot read a feature.
    """
    keep_keras_unconverted()
    features = schema.transformed_features(job.transform_graph)
    features = schema.model_inputs(features, job.label, job.training.sample_weight)
    units = job.classes if job.task == "multiclass" else 1
    if job.model.function:
        return _users_model(job.model, features, job.task, units)
    return built_in(job.model, features, units, job.label_scale if job.task == "regression" else None)


def built_in(
    config: ModelConfig, features: list[schema.Feature], units: int, label_scale: LabelScale | None = None
) -> tf_keras.Model:
    """Dense layers over numbers and embeddings, with a linear part beside them."""
    _check_features(features)
    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    numbers = _numbers(config, [f for f in features if f.dtype == "float32"], inputs)
    categorical = [f for f in features if f.rows]
    deep, wide = list(numbers), list(numbers)
    if categorical:
        ids = _joined([_flat(inputs[f.name], f) for f in categorical], "ids")
        rows, sizes = [f.rows for f in categorical], [f.size for f in categorical]
        deep.append(OffsetEmbedding(rows, config.embedding_dim, sizes, name="embedding")(ids))
        wide.append(OffsetEmbedding(rows, units, sizes, zeros=True, name="linear_embedding")(ids))
    logits = _deep(config, _joined(deep, "features"), units)
    if config.linear:
        logits = tf_keras.layers.Add(name="wide_and_deep", dtype="float32")([logits, _wide(wide, units, len(numbers))])
    if label_scale:
        logits = Affine(label_scale.mean, label_scale.scale, name="label_unit", dtype="float32")(logits)
    return tf_keras.Model(inputs, logits, name="taxiway")


def _check_features(features: list[schema.Feature]) -> None:
    if not features:
        raise DataError("Transform wrote no feature beside the label.", "Mend the preprocessing function.")
    for feature in features:
        if feature.dtype == "string" or (feature.dtype == "int64" and not feature.rows):
            raise DataError(
                f"The built-in model cannot read the transformed feature {feature.name!r} of type {feature.dtype}.",
                "It reads floats, and integers with a categorical domain [0, max] in the transformed schema: "
                "use a vocabulary or buckets, cast to float, or give a model function of your own.",
            )


def _flat(tensor: Any, feature: schema.Feature) -> Any:
    return tensor if len(feature.shape) == 1 else tf_keras.layers.Reshape([feature.size])(tensor)


def _joined(tensors: list[Any], name: str) -> Any:
    return tensors[0] if len(tensors) == 1 else tf_keras.layers.Concatenate(name=name)(tensors)


def _numbers(config: ModelConfig, features: list[schema.Feature], inputs: dict[str, Any]) -> list[Any]:
    if not features:
        return []
    joined = _joined([_flat(inputs[f.name], f) for f in features], "numbers")
    return [Clip(config.numeric_limit, name="clip")(joined)]


def _deep(config: ModelConfig, hidden: Any, units: int) -> Any:
    penalty = tf_keras.regularizers.L2(config.l2) if config.l2 else None
    for i, size in enumerate(config.hidden_units):
        dense = tf_keras.layers.Dense(size, config.activation, kernel_regularizer=penalty, name=f"hidden_{i}")
        hidden = dense(hidden)
        if config.dropout:
            hidden = Dropout(config.dropout, salt=i, name=f"dropout_{i}")(hidden)
    # Logits stay float32 in mixed precision: a loss needs their small differences.
    return tf_keras.layers.Dense(units, name="logits", dtype="float32")(hidden)


def _wide(parts: list[Any], units: int, numbers: int) -> Any:
    sums = []
    if numbers:
        dense = tf_keras.layers.Dense(
            units, use_bias=False, kernel_initializer="zeros", name="linear_numbers", dtype="float32"
        )
        sums.append(dense(parts[0]))
    if len(parts) > numbers:
        positions = parts[-1].shape[-1] // units
        split = tf_keras.layers.Reshape([positions, units], name="linear_split")(parts[-1])
        sums.append(tf_keras.layers.Lambda(_sum_positions, name="linear_sum", dtype="float32")(split))
    return sums[0] if len(sums) == 1 else tf_keras.layers.Add(name="linear", dtype="float32")(sums)


def _sum_positions(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(values, tf.float32), axis=1)


def _users_model(config: ModelConfig, features: list[schema.Feature], task: Task, units: int) -> tf_keras.Model:
    function = imported(config.function, "model.function")
    model = function(features, task, units, **config.arguments)
    if not isinstance(model, tf_keras.Model):
        raise ConfigError(
            f"model.function {config.function!r} returned {type(model).__name__}, not a tf_keras.Model.",
            "Return a model built with `import tf_keras` (not tensorflow.keras) that maps features to logits.",
        )
    return model
