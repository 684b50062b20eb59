"""Transform and training of a model of sentences, as `module_file`s of TFX's own components.

`preprocessing_fn` makes the label: `praise` is 1 where the raw column `stars` is above 3. Raw rows have no such column.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras
from tfx import v1 as tfx

WORDS, LENGTH, BATCH = 200, 12, 32


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Word ids `[LENGTH]` of the text, 0 for none, and the label."""
    text = tf.strings.regex_replace(tf.strings.lower(tf.squeeze(inputs["text"], 1)), "[^a-z ]", "")
    words = tf.strings.split(text).to_sparse()
    ids = tft.compute_and_apply_vocabulary(words, top_k=WORDS, num_oov_buckets=1)
    shifted = tf.SparseTensor(ids.indices, ids.values + 1, ids.dense_shape)
    dense = tf.sparse.to_dense(tf.sparse.slice(shifted, [0, 0], [tf.shape(text, tf.int64)[0], LENGTH]))
    padded = tf.pad(dense, [[0, 0], [0, LENGTH - tf.shape(dense)[1]]])
    return {"words": tf.ensure_shape(padded, [None, LENGTH]), "praise": tf.cast(inputs["stars"] > 3, tf.int64)}


def run_fn(fn_args: tfx.components.FnArgs) -> None:
    """Trains and exports `serving_default`, with the vocabulary's look-up inside."""
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Embedding(WORDS + 2, 16, input_length=LENGTH),
            tf_keras.layers.GlobalAveragePooling1D(),
            tf_keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(tf_keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    model.fit(read_rows(fn_args.train_files, transform), steps_per_epoch=fn_args.train_steps, verbose=2)
    model.transform = transform.transform_features_layer()
    spec = {"text": transform.raw_feature_spec()["text"]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"praise": model(model.transform(tf.io.parse_example(examples, spec))["words"])}

    tf.saved_model.save(model, fn_args.serving_model_dir, signatures={"serving_default": serve})


def read_rows(patterns: list[str], transform: tft.TFTransformOutput) -> tf.data.Dataset:
    """Endless batches of word ids and labels."""
    files = tf.data.TFRecordDataset(tf.io.gfile.glob(patterns), compression_type="GZIP")
    spec = transform.transformed_feature_spec()
    parsed = files.shuffle(1024).repeat().batch(BATCH).map(lambda rows: tf.io.parse_example(rows, spec))
    return parsed.map(lambda row: (row["words"], row["praise"]))
