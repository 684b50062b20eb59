"""The model that is trained: one of the built-in kinds, or the user's own function.

A model maps a dict of dense transformed features, `{name: [batch, *shape]}`, to logits: float32 `[batch, 1]` (binary,
or a regression in the label's own unit) or `[batch, classes]`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from taxiway.components.contract import Task
from taxiway.components.errors import ConfigError, DataError
from taxiway.components.training.config import ModelConfig
from taxiway.components.training.data.features import TransformedFeature, read_transformed_features, select_model_inputs
from taxiway.components.training.job import LabelScale, TrainingJob
from taxiway.components.training.model.autograph import keep_keras_unconverted
from taxiway.components.training.model.layers import Affine, Clip, Dropout, OffsetEmbedding, Shift
from taxiway.components.training.model.tabular.build import build_tabular_model
from taxiway.components.training.model.tabular.columns import read_builtin_columns
from taxiway.components.user_functions import import_function


def build_model(job: TrainingJob) -> tf_keras.Model:
    """The job's model with fresh weights.

    Raises:
        ConfigError: the user's function cannot be imported, or does not return a Keras model.
        DataError: the built-in model cannot read a feature.
    """
    keep_keras_unconverted()
    features = read_transformed_features(job.transform_graph)
    features = select_model_inputs(features, job.label, job.training.sample_weight)
    units = job.classes if job.task == "multiclass" else 1
    if job.model.function:
        return _build_user_model(job.model, features, job.task, units)
    label_scale = job.label_scale if job.task == "regression" else None
    if job.model.kind != "tabular":
        return build_builtin_model(job.model, features, units, label_scale)
    _check_features(features)
    columns = read_builtin_columns(job.transform_graph)
    return build_tabular_model(job.model, features, columns, job.task, units, label_scale)


def build_builtin_model(
    config: ModelConfig, features: list[TransformedFeature], units: int, label_scale: LabelScale | None = None
) -> tf_keras.Model:
    """Dense layers over numbers and embeddings, with a linear part beside them, or one of both."""
    _check_features(features)
    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    numbers = _join_numbers(config, [f for f in features if f.dtype == "float32"], inputs)
    categorical = [f for f in features if f.rows]
    deep, wide = list(numbers), list(numbers)
    if categorical:
        ids = _join_tensors([_flatten_feature(inputs[f.name], f) for f in categorical], "ids")
        rows, sizes = [f.rows for f in categorical], [f.size for f in categorical]
        if config.kind != "linear":
            deep.append(OffsetEmbedding(rows, config.embedding_dim, sizes, name="embedding")(ids))
        if config.kind != "mlp":
            wide.append(OffsetEmbedding(rows, units, sizes, zeros=True, name="linear_embedding")(ids))
    logits = _add_parts(config, deep, wide, units, len(numbers))
    if label_scale:
        logits = Affine(label_scale.mean, label_scale.scale, name="label_unit", dtype="float32")(logits)
    return tf_keras.Model(inputs, logits, name="taxiway")


def _add_parts(config: ModelConfig, deep: list[Any], wide: list[Any], units: int, numbers: int) -> Any:
    if config.kind == "linear":
        bias = Shift(units, name="logits", dtype="float32")
        return bias(_build_wide_part(wide, units, numbers))
    logits = _build_deep_part(config, _join_tensors(deep, "features"), units)
    if config.kind == "mlp" or not config.linear:
        return logits
    parts = [logits, _build_wide_part(wide, units, numbers)]
    return tf_keras.layers.Add(name="wide_and_deep", dtype="float32")(parts)


def _check_features(features: list[TransformedFeature]) -> None:
    if not features:
        raise DataError("Transform wrote no feature beside the label.", "Mend the preprocessing function.")
    for feature in features:
        if feature.dtype == "string" or (feature.dtype == "int64" and not feature.rows):
            raise DataError(
                f"The built-in model cannot read the transformed feature {feature.name!r} of type {feature.dtype}.",
                "It reads floats, and integers with a categorical domain [0, max] in the transformed schema: "
                "use a vocabulary or buckets, cast to float, or give a model function of your own.",
            )


def _flatten_feature(tensor: Any, feature: TransformedFeature) -> Any:
    return tensor if len(feature.shape) == 1 else tf_keras.layers.Reshape([feature.size])(tensor)


def _join_tensors(tensors: list[Any], name: str) -> Any:
    return tensors[0] if len(tensors) == 1 else tf_keras.layers.Concatenate(name=name)(tensors)


def _join_numbers(config: ModelConfig, features: list[TransformedFeature], inputs: dict[str, Any]) -> list[Any]:
    if not features:
        return []
    joined = _join_tensors([_flatten_feature(inputs[f.name], f) for f in features], "numbers")
    return [Clip(config.numeric_limit, name="clip")(joined)]


def _build_deep_part(config: ModelConfig, hidden: Any, units: int) -> Any:
    penalty = tf_keras.regularizers.L2(config.l2) if config.l2 else None
    for i, size in enumerate(config.hidden_units):
        dense = tf_keras.layers.Dense(size, config.activation, kernel_regularizer=penalty, name=f"hidden_{i}")
        hidden = dense(hidden)
        if config.dropout:
            hidden = Dropout(config.dropout, salt=i, name=f"dropout_{i}")(hidden)
    # Logits stay float32 in mixed precision: a loss needs their small differences.
    return tf_keras.layers.Dense(units, name="logits", dtype="float32")(hidden)


def _build_wide_part(parts: list[Any], units: int, numbers: int) -> Any:
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


def _build_user_model(
    config: ModelConfig, features: list[TransformedFeature], task: Task, units: int
) -> tf_keras.Model:
    function = import_function(config.function, "model.function", "taxiway.models")
    model = function(features, task, units, **config.arguments)
    if not isinstance(model, tf_keras.Model):
        raise ConfigError(
            f"model.function {config.function!r} returned {type(model).__name__}, not a tf_keras.Model.",
            "Return a model built with `import tf_keras` (not tensorflow.keras) that maps features to logits.",
        )
    _check_logits(model, config.function, task, units)
    return model


def _check_logits(model: tf_keras.Model, function: str, task: Task, units: int) -> None:
    """Refuses logits of another width: the loss would broadcast them, and train something else.

    A subclassed model that was not called yet has no output shape; it passes.
    """
    shape = getattr(model, "output_shape", None) if model.built else None
    if shape is not None and (not isinstance(shape, tuple) or shape[1:] != (units,)):
        raise ConfigError(
            f"model.function {function!r} returned a model whose output has the shape {shape}; "
            f"a {task} task needs logits of the shape (None, {units}).",
            "End the model with tf_keras.layers.Dense(units), without an activation.",
        )
