"""SavedModels that no pipeline of ours made, one function a kind: `python -m ...given_models FOLDER KIND...`.

Each is made in a process of its own: the Keras 3 model by Keras 3, which must not meet Keras 2 in one process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

WORDS = ("good", "bad", "fair", "great", "poor", "fine", "awful", "superb")


def build_keras3_conv(folder: str) -> None:
    """A convolutional net on images, exported by Keras 3, with its optimizer's slots in the checkpoint."""
    import keras

    assert keras.__version__.startswith("3")
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3), name="image"),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    random = np.random.default_rng(1)
    model.fit(random.random((64, 16, 16, 3)), random.integers(0, 10, 64), verbose=0)
    model.export(folder)


class _Module(tf.Module):
    """Weights of a small net."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        random = np.random.default_rng(2)
        self.weights = [
            tf.Variable(random.normal(0, 1 / np.sqrt(shape[0]), shape).astype(np.float32)) for shape in shapes
        ]


def build_text_table(folder: str) -> None:
    """Texts split into words, looked up in a table whose words are a file of the model, embedded and averaged."""
    path = Path(folder).with_name("words.txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(WORDS) + "\n")
    module = _Module((len(WORDS) + 1, 64), (64, 1))
    initializer = tf.lookup.TextFileInitializer(
        str(path), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module.table = tf.lookup.StaticHashTable(initializer, len(WORDS))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def classify(text: Any) -> dict[str, Any]:
        words = tf.strings.split(tf.strings.lower(text)).to_tensor("")
        vectors = tf.gather(module.weights[0], module.table.lookup(words))
        return {"score": tf.sigmoid(tf.reduce_mean(vectors, 1) @ module.weights[1] * 4.0)}

    tf.saved_model.save(module, folder, signatures={"classify": classify})


def build_two_outputs(folder: str) -> None:
    """Integer inputs, one of them an index of 50, and two outputs: logits of 5 classes and a value."""
    module = _Module((50, 32), (40, 64), (64, 5), (64, 1))

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int64, "item"), tf.TensorSpec([None, 8], tf.int32, "counts")]
    )
    def answer(item: Any, counts: Any) -> dict[str, Any]:
        table, first, logits, value = module.weights
        features = tf.concat([tf.gather(table, item), tf.cast(counts, tf.float32) / 100.0], 1)
        hidden = tf.nn.relu(features @ first)
        return {"logits": hidden @ logits, "value": tf.squeeze(hidden @ value, 1)}

    tf.saved_model.save(module, folder, signatures={"serving_default": answer, "other": answer})


def build_estimator(folder: str) -> None:
    """The signature of estimators: serialized tf.Example in, `scores` and `classes` out, written by TensorFlow 1's
    builder."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None], "input_example_tensor")
        parsed = v1.parse_example(
            serialized,
            {
                "age": v1.FixedLenFeature([], tf.float32, 0.0),
                "sizes": v1.FixedLenFeature([3], tf.float32, [0.0, 0.0, 0.0]),
                "kind": v1.FixedLenFeature([], tf.string, ""),
            },
        )
        kind = tf.strings.to_hash_bucket_fast(parsed["kind"], 8)
        features = tf.concat([parsed["age"][:, None] / 100.0, parsed["sizes"], tf.one_hot(kind, 8)], 1)
        v1.set_random_seed(3)
        for i, units in enumerate((32, 2)):
            kernel = v1.get_variable(f"kernel_{i}", [features.shape[1], units])
            features = tf.tanh(features @ kernel) if i == 0 else features @ kernel
        scores = tf.nn.softmax(features * 3.0)
        classes = tf.tile(tf.constant([["no", "yes"]]), [tf.shape(scores)[0], 1])
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.signature_def_utils.classification_signature_def(serialized, classes, scores)
        builder = v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={"serving_default": signature})
        builder.save()


def build_image_files(folder: str) -> None:
    """Files of images, decoded and made smaller one by one, and a convolution: what clients of image models send."""
    module = _Module((3 * 3 * 3, 8), (8, 4))

    def read_image(file: Any) -> Any:
        pixels = tf.io.decode_image(file, channels=3, expand_animations=False)
        return tf.image.resize(tf.image.convert_image_dtype(pixels, tf.float32), [24, 24])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
    def classify(image: Any) -> dict[str, Any]:
        pixels = tf.map_fn(read_image, image, fn_output_signature=tf.TensorSpec([24, 24, 3], tf.float32))
        maps = tf.nn.relu(tf.nn.conv2d(pixels, tf.reshape(module.weights[0], [3, 3, 3, 8]), 2, "SAME"))
        return {"probabilities": tf.nn.softmax(3.0 * tf.reduce_mean(maps, [1, 2]) @ module.weights[1])}

    tf.saved_model.save(module, folder, signatures=classify)


def build_bert(folder: str, layers: int = 12, width: int = 768, heads: int = 12, words: int = 30522) -> None:
    """An encoder of BERT's base size with random weights: 110 million parameters, 128 positions, two outputs."""
    keras, length = tf.keras, 128
    names = ("input_word_ids", "input_mask", "input_type_ids")
    ids, mask, types = (keras.Input((length,), dtype="int32", name=name) for name in names)
    positions = keras.layers.Embedding(length, width)(tf.range(length)[None])
    hidden = keras.layers.Embedding(words, width)(ids) + keras.layers.Embedding(2, width)(types) + positions
    hidden = keras.layers.LayerNormalization(epsilon=1e-12)(hidden)
    seen = tf.cast(mask, tf.bool)[:, None, :]
    for _ in range(layers):
        attended = keras.layers.MultiHeadAttention(heads, width // heads)(hidden, hidden, attention_mask=seen)
        hidden = keras.layers.LayerNormalization(epsilon=1e-12)(hidden + attended)
        inner = keras.layers.Dense(4 * width, "gelu")(hidden)
        hidden = keras.layers.LayerNormalization(epsilon=1e-12)(hidden + keras.layers.Dense(width)(inner))
    pooled = keras.layers.Dense(width, "tanh", name="pooled_output")(hidden[:, 0])
    model = keras.Model([ids, mask, types], {"pooled_output": pooled, "sequence_output": hidden})
    model.export(folder)
    print(f"{model.count_params():,} parameters")


def build_ragged(folder: str) -> None:
    """A Keras 2 model whose input is ragged."""
    import tf_keras

    inputs = tf_keras.Input([None], ragged=True, dtype="int64", name="words")
    vectors = tf_keras.layers.Embedding(20, 4)(inputs)
    pooled = tf_keras.layers.Lambda(lambda x: tf.reduce_mean(x, 1))(vectors)
    tf_keras.Model(inputs, tf_keras.layers.Dense(1)(pooled)).export(folder)


def build_sparse(folder: str) -> None:
    """A signature whose input is declared as a sparse tensor, as estimators' serving functions did."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        given = v1.sparse_placeholder(tf.float32, [None, 10], "given")
        total = tf.sparse.reduce_sum(given, 1)
        weight = v1.get_variable("weight", [])
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"x": total}, {"y": total * weight})
        signature.inputs["x"].CopyFrom(v1.saved_model.build_tensor_info(given))
        builder = v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={"serving_default": signature})
        builder.save()


def build_file_reader(folder: str) -> None:
    """A model that reads a file, and a harmless one beside it in the graph."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def read(x: Any) -> dict[str, Any]:
        return {"y": x + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)}

    tf.saved_model.save(module, folder, signatures=read)


def build_single(folder: str) -> None:
    """A signature of one value, which no rows lie in."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def double(x: Any) -> dict[str, Any]:
        return {"y": 2.0 * x}

    tf.saved_model.save(module, folder, signatures=double)


def build_keras_file(folder: str) -> None:
    """A folder with a model in Keras' own format."""
    import tf_keras

    Path(folder).mkdir()
    tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(2,))]).save(f"{folder}/model.keras")


KINDS: dict[str, Callable[[str], None]] = {
    name.removeprefix("build_"): function for name, function in list(globals().items()) if name.startswith("build_")
}

if __name__ == "__main__":
    for kind in sys.argv[2:]:
        KINDS[kind](str(Path(sys.argv[1], kind)))
