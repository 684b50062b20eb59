"""The built-in preprocessing: driven by the schema's types and the configuration, with no column name in the code.

Few, wide features instead of many narrow ones: one analyzer over a `[batch, n]` tensor costs Beam one stage where n
analyzers cost n, and one fixed-length feature of n values parses far faster than n features of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from taxiway.components.transform.calendar import encode_parts
from taxiway.components.transform.columns import FeatureColumns, choose_columns
from taxiway.components.transform.config import FeaturesConfig, PreprocessingConfig
from taxiway.components.transform.dense_columns import densify_column, densify_columns
from taxiway.components.transform.hashed_text import hash_values, hash_words
from taxiway.components.transform.quantile_views import VIEWS, build_views
from taxiway.components.transform.tft_private import compute_mean_and_variance, set_id_range

OWN_PREFIX = "taxiway_"
"""The names of our features begin with it: the label, handed through under its column's name, must not be one."""
MISSING_TEXT = "__missing__"
MISSING_TIME = -(2**63)
"""What stands for a missing time between two operations, as in a request."""
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
        missing; or, with `numbers: quantiles`, the views of `quantile_views.build_views` under such names;
        `taxiway_categories` int64 `[batch, m]`: word of the vocabulary; and the label under its own name, int64
        `[batch]` or float32 for a regression. Beside them, where the configuration names columns for them,
        `taxiway_calendar` float32: sines and cosines of parts of times; `taxiway_hashes` int64 `[batch, columns]`; and
        `taxiway_words` float32 `[batch, columns * buckets]`: bags of hashed words. Ids of different columns differ, so
        that one table serves all positions. A number that is not finite is missing.
    """
    preprocessing = PreprocessingConfig.model_validate(custom_config["preprocessing"])
    columns = classify_columns(inputs, custom_config)
    features: dict[str, tf.Tensor] = {}
    if columns.categorical:
        features["categories"] = _encode_categories([inputs[name] for name in columns.categorical], preprocessing)
    if columns.numeric:
        features.update(_build_numeric_features([inputs[name] for name in columns.numeric], preprocessing))
    features.update(_build_other_features(inputs, columns, custom_config, preprocessing))
    outputs = {choose_prefix(columns.label) + name: feature for name, feature in features.items()}
    label_dtype = tf.float32 if custom_config["task"] == "regression" else tf.int64
    outputs[columns.label] = tf.cast(densify_column(inputs[columns.label], 0), label_dtype)
    return outputs


def _build_other_features(
    inputs: Mapping[str, Any],
    columns: FeatureColumns,
    custom_config: Mapping[str, Any],
    preprocessing: PreprocessingConfig,
) -> dict[str, tf.Tensor]:
    """Features that need no look at the training rows."""
    features: dict[str, tf.Tensor] = {}
    if columns.calendar:
        parts = FeaturesConfig.model_validate(custom_config["features"]).calendar
        times = tf.unstack(densify_columns([inputs[name] for name in columns.calendar], MISSING_TIME))
        encoded = [
            encode_parts(seconds, tf.equal(seconds, MISSING_TIME), parts[name])
            for name, seconds in zip(columns.calendar, times, strict=True)
        ]
        features["calendar"] = tf.concat(encoded, axis=1)
    if columns.hashed:
        texts = _convert_to_texts([inputs[name] for name in columns.hashed])
        features["hashes"] = hash_values(texts, preprocessing.hash_buckets)
        set_id_range(features["hashes"], tf.constant(len(columns.hashed) * preprocessing.hash_buckets - 1, tf.int64))
    if columns.text:
        texts = tf.unstack(densify_columns([inputs[name] for name in columns.text], ""))
        features["words"] = tf.concat([hash_words(text, preprocessing.text_buckets) for text in texts], axis=1)
    return features


def choose_prefix(label: str) -> str:
    """What the names of our features begin with, and the label's does not: underscores are added until it is so."""
    prefix = OWN_PREFIX
    while label.lower().startswith(prefix):  # in any case: TensorFlow's names of operations know none
        prefix += "_"
    return prefix


def drop_nonfinite(column: Any) -> Any:
    """A column without its numbers that are not finite as float32, which is what a request holds.

    Args:
        column: `tf.SparseTensor`: their cells become empty; `tf.Tensor`: they become NaN. Others stay as they are.
    """
    if not isinstance(column, tf.SparseTensor | tf.Tensor) or not column.dtype.is_floating:
        return column
    values = column.values if isinstance(column, tf.SparseTensor) else column
    is_finite = tf.math.is_finite(tf.cast(values, tf.float32))
    if isinstance(column, tf.SparseTensor):
        return tf.sparse.retain(column, is_finite)
    return tf.where(is_finite, column, tf.constant(float("nan"), column.dtype))


def classify_columns(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> FeatureColumns:
    """The use of each raw column, as this function and `columns.json` both see it."""
    return choose_columns(
        {name: value.dtype.name for name, value in inputs.items()},
        custom_config["label"],
        FeaturesConfig.model_validate(custom_config["features"]),
        frozenset(custom_config.get("schema_categorical", ())),
    )


def describe_features(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `columns.json`: the columns by use, and what a model must know of our features."""
    preprocessing = PreprocessingConfig.model_validate(custom_config["preprocessing"])
    columns = classify_columns(inputs, custom_config)
    content, prefix = columns.to_json(), choose_prefix(columns.label)
    if columns.numeric and preprocessing.numbers == "quantiles":
        content["quantile_bins"] = preprocessing.quantile_bins
        content["views"] = {view: prefix + view for view in VIEWS}
    if columns.categorical:
        unseen = preprocessing.oov_buckets * len(columns.categorical)
        content |= {"categories": f"{prefix}categories", "vocabulary": VOCABULARY, "unseen_ids": unseen}
    if columns.calendar:
        parts = FeaturesConfig.model_validate(custom_config["features"]).calendar
        content["calendar_parts"] = {name: list(parts[name]) for name in columns.calendar}
    return content


def _build_numeric_features(raw: list[Any], preprocessing: PreprocessingConfig) -> dict[str, tf.Tensor]:
    axis, shape = (0, [len(raw), None]) if preprocessing.numbers == "quantiles" else (1, [None, len(raw)])
    values = _convert_to_floats(raw, axis)
    values.set_shape(shape)
    # As float32, which is what a request holds: NaN, infinity and 1e39 are missing when they are served, too. Here and
    # not column by column: one operation for all, and the optimizer knows how sparse columns become dense.
    missing = tf.logical_not(tf.math.is_finite(tf.cast(values, tf.float32)))
    values = tf.where(missing, tf.constant(float("nan"), values.dtype), values)
    if preprocessing.numbers == "quantiles":
        return build_views(values, missing, preprocessing.quantile_bins)
    outputs = {"numeric": _compute_z_scores(values, missing), "missing": tf.cast(missing, tf.float32)}
    if preprocessing.quantile_buckets > 1:
        outputs["buckets"] = _assign_buckets(values, missing, preprocessing.quantile_buckets)
    return outputs


def _convert_to_floats(columns: Sequence[Any], axis: int) -> tf.Tensor:
    """float64 `[columns, batch]`, or `[batch, columns]` with `axis` 1, NaN where missing: float32 cannot tell two
    seconds of a Unix time apart."""
    return densify_columns(columns, float("nan"), lambda values: tf.cast(values, tf.float64), axis)


def _compute_z_scores(values: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """`(x - mean) / standard deviation` of the present values; 0 where missing. One analyzer for all columns.

    What `tft.scale_to_z_score` computes, to the last bit. It would take the present values out and put them back in
    every request, at three times the cost: only the analysis has to leave the missing ones out.
    """
    present = tf.where(tf.logical_not(missing))
    sparse = tf.SparseTensor(present, tf.gather_nd(values, present), tf.shape(values, out_type=tf.int64))
    mean, variance = compute_mean_and_variance(sparse)
    distance, deviation = values - mean, tf.sqrt(variance)
    scores = tf.where(tf.not_equal(deviation, 0), distance / deviation, distance)
    scores = tf.where(missing, tf.constant(0, values.dtype), scores)
    scores.set_shape(values.shape)
    return tf.cast(scores, tf.float32)


def _assign_buckets(values: tf.Tensor, missing: tf.Tensor, buckets: int) -> tf.Tensor:
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
    set_id_range(index, last)
    return index


def _encode_categories(raw: list[Any], preprocessing: PreprocessingConfig) -> tf.Tensor:
    """Ids of words, int64 `[batch, m]`: first each column's own OOV buckets, then the vocabulary of all columns.

    A word is the column's position and its value, so one vocabulary, which costs Beam one chain of stages instead of
    m, and one look-up serve all columns. A missing value is a word of its own.
    """
    words = tf.constant([f"{position}:" for position in range(len(raw))]) + _convert_to_texts(raw)
    vocabulary = tft.vocabulary(
        words,
        top_k=preprocessing.vocabulary_size * len(raw),
        frequency_threshold=_compute_frequency_threshold(preprocessing),
        vocab_filename=VOCABULARY,
        # Without weights TFT hands every word of every row to Beam; with them, each distinct one of a batch.
        weights=tf.ones_like(words, tf.int64),
    )
    indices = tft.apply_vocabulary(words, vocabulary, default_value=-1)
    unknown = tf.strings.to_hash_bucket_fast(words, preprocessing.oov_buckets)
    unknown += tf.range(len(raw), dtype=tf.int64) * preprocessing.oov_buckets
    first = preprocessing.oov_buckets * len(raw)
    ids = tf.where(indices < 0, unknown, indices + first)
    last = tft.experimental.get_vocabulary_size_by_name(VOCABULARY) + (first - 1)
    set_id_range(ids, last)
    return ids


def _convert_to_texts(columns: Sequence[Any]) -> tf.Tensor:
    """string `[batch, columns]`."""
    texts = densify_columns(columns, MISSING_TEXT, _write_values, axis=1)
    texts.set_shape([None, len(columns)])
    return texts


def _write_values(values: tf.Tensor) -> tf.Tensor:
    if values.dtype == tf.string:
        return values
    texts = tf.strings.as_string(values)
    # As float32, which is what a request holds.
    return (
        tf.where(tf.math.is_finite(tf.cast(values, tf.float32)), texts, MISSING_TEXT)
        if values.dtype.is_floating
        else texts
    )


def _compute_frequency_threshold(preprocessing: PreprocessingConfig) -> int | None:
    return preprocessing.vocabulary_min_frequency if preprocessing.vocabulary_min_frequency > 1 else None
