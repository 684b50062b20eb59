"""The built-in preprocessing: driven by the schema's types and the configuration, with no column name in the code.

Few, wide features instead of many narrow ones: one analyzer over a `[batch, n]` tensor costs Beam one stage where n
analyzers cost n, and one fixed-length feature of n values parses far faster than n features of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import schema_inference

from components.transform.columns import Columns, choose
from components.transform.config import FeaturesConfig, PreprocessingConfig

MISSING_TEXT = "__missing__"
MISSING_INTEGER = -1


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """TFT's preprocessing function.

    Args:
        inputs: Raw columns, `tf.SparseTensor` or `tf.Tensor`, each at most one value a row.
        custom_config: `features` and `preprocessing` (their sections as dicts), `label`, `task`, and
            `schema_categorical`, the integer columns that the schema calls categorical.

    Returns:
        `numeric` float32 `[batch, n]`: z-scores, 0 where the value is missing; `missing` float32 `[batch, n]`: 1 where
        it is; `buckets` int64 `[batch, n]`: quantile bucket, the last one where it is missing; `category_NNN` int64
        `[batch]` for each vocabulary column; and the label, int64 `[batch]` or float32 for a regression.
    """
    preprocessing = PreprocessingConfig.model_validate(custom_config["preprocessing"])
    columns = columns_of(inputs, custom_config)
    outputs = {feature: _vocabulary_ids(inputs[name], preprocessing) for name, feature in columns.categorical.items()}
    if columns.numeric:
        outputs.update(_numeric_features([inputs[name] for name in columns.numeric], preprocessing))
    label_dtype = tf.float32 if custom_config["task"] == "regression" else tf.int64
    outputs[columns.label] = tf.cast(_dense(inputs[columns.label], 0), label_dtype)
    return outputs


def columns_of(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> Columns:
    """The use of each raw column, as this function and `columns.json` both see it."""
    return choose(
        {name: value.dtype.name for name, value in inputs.items()},
        custom_config["label"],
        FeaturesConfig.model_validate(custom_config["features"]),
        frozenset(custom_config.get("schema_categorical", ())),
    )


def _dense(column: Any, default: Any) -> tf.Tensor:
    """`[batch]` values, `default` where the row has none. The first value wins where a row has several."""
    if isinstance(column, tf.SparseTensor):
        first = tf.sparse.slice(column, [0, 0], [column.dense_shape[0], 1])
        first = tf.SparseTensor(first.indices, first.values, [column.dense_shape[0], 1])
        return tf.squeeze(tf.sparse.to_dense(first, tf.constant(default, column.dtype)), 1)
    return tf.reshape(column, [tf.shape(column)[0]])


def _numeric_features(raw: list[Any], preprocessing: PreprocessingConfig) -> dict[str, tf.Tensor]:
    values = tf.stack([_as_float_with_nan(column) for column in raw], axis=1)
    values.set_shape([None, len(raw)])
    missing = tf.math.is_nan(values)
    outputs = {"numeric": _z_scores(values, missing), "missing": tf.cast(missing, tf.float32)}
    if preprocessing.quantile_buckets > 1:
        outputs["buckets"] = _quantile_buckets(values, missing, preprocessing.quantile_buckets)
    return outputs


def _as_float_with_nan(column: Any) -> tf.Tensor:
    """float64 `[batch]`, NaN where missing: float32 cannot tell two seconds of a Unix time apart."""
    if isinstance(column, tf.SparseTensor):
        column = tf.SparseTensor(column.indices, tf.cast(column.values, tf.float64), column.dense_shape)
        return _dense(column, float("nan"))
    return tf.cast(_dense(column, 0), tf.float64)


def _z_scores(values: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """`(x - mean) / standard deviation` of the present values; 0 where missing. One analyzer for all columns."""
    present = tf.where(tf.logical_not(missing))
    shape = tf.shape(values, out_type=tf.int64)
    sparse = tf.SparseTensor(present, tf.gather_nd(values, present), shape)
    scaled = tft.scale_to_z_score(sparse, elementwise=True)
    dense = tf.scatter_nd(scaled.indices, scaled.values, shape)
    dense = tf.where(missing, tf.zeros_like(dense), dense)
    dense.set_shape(values.shape)
    return tf.cast(dense, tf.float32)


def _quantile_buckets(values: tf.Tensor, missing: tf.Tensor, buckets: int) -> tf.Tensor:
    """Index of the quantile bucket, int64 `[batch, n]` in `[0, buckets]`; `buckets` where the value is missing."""
    # TFT's sketch has no answer for a column without any value: one row of next to no weight gives it one.
    rows = tf.concat([values, tf.zeros([1, values.shape[1]], values.dtype)], axis=0)
    weights = tf.concat([tf.ones([tf.shape(values)[0]]), [1e-6]], axis=0)
    boundaries = tft.quantiles(rows, buckets, epsilon=0.5 / buckets, weights=weights, reduce_instance_dims=False)
    boundaries = tf.cast(tf.reshape(boundaries, [values.shape[1], buckets - 1]), tf.float64)
    index = tf.reduce_sum(tf.cast(values[:, :, None] >= boundaries[None, :, :], tf.int64), axis=2)
    index = tf.where(missing, tf.fill(tf.shape(index), tf.constant(buckets, tf.int64)), index)
    schema_inference.set_tensor_schema_override(index, tf.constant(0, tf.int64), tf.constant(buckets, tf.int64))
    return index


def _vocabulary_ids(column: Any, preprocessing: PreprocessingConfig) -> tf.Tensor:
    """Vocabulary index, int64 `[batch]`; a missing value is a word of its own; unknown words hash to OOV buckets."""
    default = MISSING_TEXT if column.dtype == tf.string else MISSING_INTEGER
    return tft.compute_and_apply_vocabulary(
        _dense(column, default),
        top_k=preprocessing.vocabulary_size,
        frequency_threshold=_threshold(preprocessing),
        num_oov_buckets=preprocessing.oov_buckets,
    )


def _threshold(preprocessing: PreprocessingConfig) -> int | None:
    return preprocessing.vocabulary_min_frequency if preprocessing.vocabulary_min_frequency > 1 else None
