"""Serialized rows for tests, and models of them in numpy."""

import numpy as np

from taxiway.components.explanation.rows import RawRows, make_entry, to_objects


def make_rows(**columns) -> RawRows:
    """Rows of these columns; None is a missing value."""
    entries = {name: to_objects([make_entry(name, value) for value in values]) for name, values in columns.items()}
    return RawRows(entries)


def read_table(serialized, *names) -> np.ndarray:
    """float64 `[rows, columns]`: what TensorFlow's own parser reads, -1 where a value is missing."""
    import tensorflow as tf

    features = {name: tf.io.FixedLenFeature([], tf.float32, -1.0) for name in names}
    parsed = tf.io.parse_example(tf.constant(list(serialized)), features)
    return np.stack([parsed[name].numpy() for name in names], axis=1).astype(np.float64)
