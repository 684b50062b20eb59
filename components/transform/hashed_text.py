"""Texts with more values than a vocabulary holds, and free texts, by hashes: no analysis, so nothing to be unseen."""

from __future__ import annotations

import tensorflow as tf

SEPARATORS = r"[^\pL\pN]+"
"""Between words: whatever is neither a letter nor a digit."""


def hash_values(texts: tf.Tensor, buckets: int) -> tf.Tensor:
    """Ids of whole values.

    Args:
        texts: string `[batch, columns]`.
        buckets: Ids of a column; two values share one by chance.

    Returns:
        int64 `[batch, columns]`: of column `i` in `i * buckets` and on.
    """
    return tf.strings.to_hash_bucket_fast(texts, buckets) + tf.range(texts.shape[1], dtype=tf.int64) * buckets


def hash_words(text: tf.Tensor, buckets: int) -> tf.Tensor:
    """A text's bag of hashed words, small and capital letters alike.

    Args:
        text: string `[batch]`.
        buckets: Numbers of a text.

    Returns:
        float32 `[batch, buckets]`: 0 where no word of the text has the bucket, else the same number for all of a text's
        buckets, their squares adding up to 1, so that a long text is no louder than a short one.
    """
    spaced = tf.strings.regex_replace(tf.strings.lower(text, encoding="utf-8"), SEPARATORS, " ")
    words = tf.strings.split(tf.strings.strip(spaced))
    rows, ids = words.value_rowids(), tf.strings.to_hash_bucket_fast(words.values, buckets)
    shape = tf.stack([tf.shape(text, out_type=tf.int64)[0], tf.constant(buckets, tf.int64)])
    counts = tf.scatter_nd(tf.stack([rows, ids], axis=1), tf.ones_like(ids, tf.float32), shape)
    present = tf.cast(counts > 0, tf.float32)
    bag = present * tf.math.rsqrt(tf.maximum(tf.reduce_sum(present, axis=1, keepdims=True), 1.0))
    bag.set_shape([None, buckets])
    return bag
