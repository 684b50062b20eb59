"""Which output holds the scores, of models that are not ours."""

import pytest
import tensorflow as tf

from taxiway.components.errors import ConfigError, ServingError
from taxiway.components.saved_models.prediction_output import find_prediction_output

EXAMPLES = tf.TensorSpec([None], tf.string, "examples")


@pytest.fixture
def save(tmp_path):
    """Writes a model with the given outputs of the lengths of its inputs."""

    def save_model(outputs, spec=EXAMPLES, name="serving_default"):
        module = tf.Module()
        module.serve = tf.function(lambda x: {key: make(x) for key, make in outputs.items()}, input_signature=[spec])
        tf.saved_model.save(module, str(tmp_path), signatures={name: module.serve})
        return tmp_path

    return save_model


def score(x):
    return tf.cast(tf.strings.length(x), tf.float32)[:, None] if x.dtype == tf.string else x


def decide(x):
    return tf.strings.length(x)


def test_ours_by_the_task_then_the_only_one_of_numbers(save):
    assert find_prediction_output(save({"probabilities": score, "spread": score}), "binary") == "probabilities"
    assert find_prediction_output(save({"outputs": score, "label": decide, "text": tf.identity}), "binary") == "outputs"


def test_with_several_the_error_lists_them(save):
    folder = save({"scores": score, "spread": score, "classes": decide})
    with pytest.raises(ConfigError) as caught:
        find_prediction_output(folder, "multiclass")
    assert "outputs classes (int32[None]), scores (float[None, 1]), spread (float[None, 1])" in caught.value.problem
    assert "prediction_output='scores' or 'spread'" in caught.value.remedy
    assert find_prediction_output(folder, "multiclass", "spread") == "spread"
    with pytest.raises(ConfigError, match="prediction_output is 'classes'"):
        find_prediction_output(folder, "multiclass", "classes")


def test_what_takes_no_examples_or_has_no_such_signature_is_refused(save, tmp_path):
    images = save({"outputs": score}, tf.TensorSpec([None, 8, 8], tf.float32, "images"))
    with pytest.raises(ConfigError, match=r"takes images \(float\[None, 8, 8\]\)(.|\n)*taxiway optimize"):
        find_prediction_output(images, "multiclass")
    with pytest.raises(ConfigError, match=r"no signature 'serving_default'; it has: predict"):
        find_prediction_output(save({"outputs": score}, name="predict"), "binary")
    with pytest.raises(ConfigError, match="export the scores, too"):
        find_prediction_output(save({"classes": decide}), "binary")
    with pytest.raises(ServingError, match="holds no SavedModel"):
        find_prediction_output(tmp_path / "none", "binary")
