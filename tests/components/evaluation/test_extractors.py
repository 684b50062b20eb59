"""A column named like the signature's input is a column: the models are called with serialized rows all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import text_format

from components.contract import EXAMPLES_INPUT, SERVING_DEFAULT
from components.evaluation.extractors import custom_extractors, rename_key

CONFIG = """
model_specs {
  model_type: "tf_generic" signature_name: "serving_default"
  label_key: "examples_input" prediction_key: "probabilities"
}
slicing_specs { }
slicing_specs { feature_keys: "examples" }
metrics_specs { metrics { class_name: "BinaryAccuracy" } metrics { class_name: "ExampleCount" } }
"""


def write_model(folder: Path) -> str:
    module = tf.Module()

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {EXAMPLES_INPUT: tf.io.FixedLenFeature([], tf.int64)})
        return {"probabilities": tf.cast(parsed[EXAMPLES_INPUT], tf.float32)[:, None]}

    spec = [tf.TensorSpec([None], tf.string, EXAMPLES_INPUT)]
    module.serve = tf.function(serve, input_signature=spec, autograph=False)
    tf.saved_model.save(module, str(folder), signatures={SERVING_DEFAULT: module.serve})
    return str(folder)


def write_rows(file: Path) -> str:
    """Twelve rows; the column `examples` is right about the label in nine."""
    with tf.io.TFRecordWriter(str(file)) as out:
        for i in range(12):
            row = tf.train.Example()
            row.features.feature["examples"].int64_list.value.append(i % 2)
            row.features.feature["examples_input"].int64_list.value.append(i % 2 if i < 9 else 1 - i % 2)
            out.write(row.SerializeToString())
    return str(file)


def test_a_column_called_examples_is_evaluated_and_sliced(tmp_path: Path) -> None:
    config = text_format.Parse(CONFIG, tfma.EvalConfig())
    model = tfma.default_eval_shared_model(write_model(tmp_path / "model"), eval_config=config)
    result = tfma.run_model_analysis(
        eval_shared_model=model,
        eval_config=config,
        data_location=write_rows(tmp_path / "rows.tfrecord"),
        output_path=str(tmp_path / "out"),
        extractors=custom_extractors(model, config),
    )
    metrics = result.get_metrics_for_all_slices()
    assert metrics[()]["binary_accuracy"]["doubleValue"] == pytest.approx(0.75)
    assert metrics[()]["example_count"]["doubleValue"] == 12
    assert set(metrics) == {(), (("examples", 0),), (("examples", 1),)}


def test_extracts_without_columns_stay_as_they_are() -> None:
    assert rename_key({"a": 1}, "features", "aside") == {"a": 1}
    assert rename_key({"features": 2, "a": 1}, "features", "aside") == {"aside": 2, "a": 1}
