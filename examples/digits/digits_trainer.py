"""A convolutional net on digits, trained by TFX's own Trainer through `module_file`. It answers with logits."""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from tfx import v1 as tfx

SPEC = {"image": tf.io.FixedLenFeature([64], tf.float32), "digit": tf.io.FixedLenFeature([1], tf.int64)}
BATCH = 64


def run_fn(fn_args: tfx.components.FnArgs) -> None:
    """Trains and exports `serving_default` of serialized examples."""
    model = build_model()
    model.compile("adam", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(read_rows(fn_args.train_files), steps_per_epoch=fn_args.train_steps, verbose=2)
    tf.saved_model.save(model, fn_args.serving_model_dir, signatures={"serving_default": build_signature(model)})


def build_model() -> tf_keras.Model:
    """Pixels `[batch, 64]` to logits `[batch, 10]`."""
    return tf_keras.Sequential(
        [
            tf_keras.layers.Reshape((8, 8, 1), input_shape=(64,)),
            tf_keras.layers.Conv2D(16, 3, activation="relu"),
            tf_keras.layers.Conv2D(32, 3, activation="relu"),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(10),
        ]
    )


def read_rows(patterns: list[str]) -> tf.data.Dataset:
    """Endless batches of pixels and digits."""
    files = tf.data.TFRecordDataset(tf.io.gfile.glob(patterns), compression_type="GZIP")
    parsed = files.shuffle(2048).repeat().batch(BATCH).map(lambda rows: tf.io.parse_example(rows, SPEC))
    return parsed.map(lambda row: (row["image"], row["digit"]))


def build_signature(model: tf_keras.Model) -> tf.types.experimental.GenericFunction:
    """Serialized examples to logits and the digit, two outputs of which one holds numbers that are scores."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(tf.io.parse_example(examples, {"image": SPEC["image"]})["image"])
        return {"logits": logits, "digit": tf.argmax(logits, axis=1)}

    return serve
