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

OWN_PREFIX = "taxiway_"
"""The names of our features begin with it: the label, handed through under its column's name, must not be one."""
MISSING_TEXT = "__missing__"
VOCABULARY = "categories"
"""Name of the vocabulary's file; a line is a column's position among the categorical ones, a colon, and a value."""


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """TFT's preprocessing function.

    Args:
        inputs: Raw columns, `tf.SparseTensor` or `tf.Tensor`, each at most one value a row.
        custom_config: `features` and `preprocessing` (their sections as dicts), `label`, `task`, and
            `schema_categorical`, the integer columns that the schema calls categorical.

    Returns:
        `taxiway_numeric` float32 `[batch, n]`: z-scores, 0 where the value is missing; `taxiway_missing` float32
        `[batch, n]`: 1 where it is; `taxiway_buckets` int64 `[batch, n]`: quantile bucket, the last one where it is
        missing; `taxiway_categories` int64 `[batch, m]`: word of the vocabulary; and the label under its own name,
        int64 `[batch]` or float32 for a regression. Ids of different columns differ, so that one table serves all
        positions. A number that is not finite is missing.
    """
    preprocessing = PreprocessingConfig.model_validate(custom_config["preprocessing"])
    columns = columns_of(inputs, custom_config)
    features: dict[str, tf.Tensor] = {}
    if columns.categorical:
        features["categories"] = _categories([inputs[name] for name in columns.categorical], preprocessing)
    if columns.numeric:
        features.update(_numeric_features([inputs[name] for name in columns.numeric], preprocessing))
    outputs = {own_prefix(columns.label) + name: feature for name, feature in features.items()}
    label_dtype = tf.float32 if custom_config["task"] == "regression" else tf.int64
    outputs[columns.label] = tf.cast(_dense(inputs[columns.label], 0), label_dtype)
    return outputs


def own_prefix(label: str) -> str:
    """What the names of our features begin with, and the label's does not: underscores are added until it is so."""
    prefix = OWN_PREFIX
    while label.lower().startswith(prefix):  # in any case: TensorFlow's names of operations know none
        prefix += "_"
    return prefix


def finite(column: Any) -> Any:
    """A column without its numbers that are not finite as float32, which is what a request holds.

    Args:
        column: `tf.SparseTensor`: their cells become empty; `tf.Tensor`: they become NaN. Others stay as they are.
    """
    if not isinstance(column, tf.SparseTensor | tf.Tensor) or not column.dtype.is_floating:
        return column
    values = column.values if isinstance(column, tf.SparseTensor) else column
    known = tf.math.is_finite(tf.cast(values, tf.float32))
    if isinstance(column, tf.SparseTensor):
        return tf.sparse.retain(column, known)
    return tf.where(known, column, tf.constant(float("nan"), column.dtype))


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
        # A batch without any value is 0 wide.
        shape = tf.stack([column.dense_shape[0], tf.maximum(column.dense_shape[1], 1)])
        padded = tf.SparseTensor(column.indices, column.values, shape)
        return tf.sparse.to_dense(padded, tf.constant(default, column.dtype))[:, 0]
    return tf.reshape(column, [tf.shape(column)[0]])


def _numeric_features(raw: list[Any], preprocessing: PreprocessingConfig) -> dict[str, tf.Tensor]:
    values = tf.stack([_as_float_with_nan(column) for column in raw], axis=1)
    values.set_shape([None, len(raw)])
    # As float32, which is what a request holds: NaN, infinity and 1e39 are missing when they are served, too. Here and
    # not column by column: one operation for all, and the optimizer knows how sparse columns become dense.
    missing = tf.logical_not(tf.math.is_finite(tf.cast(values, tf.float32)))
    values = tf.where(missing, tf.constant(float("nan"), values.dtype), values)
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
    """Index of the quantile bucket, int64 `[batch, n]`: of position `p` in `p * (buckets + 1)` and on, the last of them
    where the value is missing."""
    # TFT's sketch has no answer for a column without any value: one row of next to no weight gives it one.
    rows = tf.concat([values, tf.zeros([1, values.shape[1]], values.dtype)], axis=0)
    weights = tf.concat([tf.ones([tf.shape(values)[0]]), [1e-6]], axis=0)
    boundaries = tft.quantiles(rows, buckets, epsilon=0.5 / buckets, weights=weights, reduce_instance_dims=False)
    boundaries = tf.cast(tf.reshape(boundaries, [values.shape[1], buckets - 1]), tf.float64)
    index = tf.reduce_sum(tf.cast(values[:, :, None] >= boundaries[None, :, :], tf.int64), axis=2)
    index = tf.where(missing, tf.fill(tf.shape(index), tf.constant(buckets, tf.int64)), index)
    index += tf.range(values.shape[1], dtype=tf.int64) * (buckets + 1)
    last = tf.constant(values.shape[1] * (buckets + 1) - 1, tf.int64)
    schema_inference.set_tensor_schema_override(index, tf.constant(0, tf.int64), last)
    return index


def _categories(raw: list[Any], preprocessing: PreprocessingConfig) -> tf.Tensor:
    """Ids of words, int64 `[batch, m]`: first each column's own OOV buckets, then the vocabulary of all columns.

    A word is the column's position and its value, so one vocabulary, which costs Beam one chain of stages instead of
    m, and one look-up serve all columns. A missing value is a word of its own.
    """
    words = tf.stack([_text(column) for column in raw], axis=1)
    words.set_shape([None, len(raw)])
    words = tf.constant([f"{position}:" for position in range(len(raw))]) + words
    vocabulary = tft.vocabulary(
        words,
        top_k=preprocessing.vocabulary_size * len(raw),
        frequency_threshold=_threshold(preprocessing),
        vocab_filename=VOCABULARY,
    )
    known = tft.apply_vocabulary(words, vocabulary, default_value=-1)
    unknown = tf.strings.to_hash_bucket_fast(words, preprocessing.oov_buckets)
    unknown += tf.range(len(raw), dtype=tf.int64) * preprocessing.oov_buckets
    first = preprocessing.oov_buckets * len(raw)
    ids = tf.where(known < 0, unknown, known + first)
    last = tft.experimental.get_vocabulary_size_by_name(VOCABULARY) + (first - 1)
    schema_inference.set_tensor_schema_override(ids, tf.constant(0, tf.int64), last)
    return ids


def _text(column: Any) -> tf.Tensor:
    """string `[batch]`."""
    column = finite(column)
    if column.dtype == tf.string:
        return _dense(column, MISSING_TEXT)
    if isinstance(column, tf.SparseTensor):
        column = tf.SparseTensor(column.indices, tf.strings.as_string(column.values), column.dense_shape)
        return _dense(column, MISSING_TEXT)
    return tf.strings.as_string(_dense(column, 0))


def _threshold(preprocessing: PreprocessingConfig) -> int | None:
    return preprocessing.vocabulary_min_frequency if preprocessing.vocabulary_min_frequency > 1 else None
