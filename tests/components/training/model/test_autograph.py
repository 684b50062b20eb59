"""Autograph rewrites what a user wrote, and leaves Keras alone."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
import tensorflow as tf
import tf_keras
from tensorflow.python.autograph.core import config
from tensorflow.python.autograph.impl import conversion

from taxiway.components.saved_models.input_names import make_input_name
from taxiway.components.training.model import autograph
from taxiway.components.training.run import run_training
from tests.components.training import users_model
from tests.components.training.synthetic import make_job


def test_keras_is_left_as_it_is_and_a_users_layer_is_not() -> None:
    assert autograph.keep_keras_unconverted()
    assert autograph.keep_keras_unconverted(), "again is harmless"
    assert conversion.is_allowlisted(tf_keras.layers.Dense(1).call)
    assert not conversion.is_allowlisted(users_model.Halve().call)


def test_a_release_that_moved_the_rules_is_said_and_nothing_breaks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(config, "CONVERSION_RULES")
    with caplog.at_level(logging.WARNING):
        assert not autograph.keep_keras_unconverted()
    assert "take seconds longer" in caplog.text and "CONVERSION_RULES" in caplog.text


@pytest.mark.parametrize("xla", ["off", "on"])
def test_a_users_model_with_python_control_flow_trains_and_serves(binary_data: Path, tmp_path: Path, xla: str) -> None:
    model = {"function": "tests.components.training.users_model.build", "arguments": {"width": 12}}
    job = make_job(binary_data, tmp_path, export_dir=str(tmp_path / "export"), training={"epochs": 6, "xla": xla})
    result = run_training(job.model_copy(update={"model": type(job.model).model_validate(model)}))
    assert result.metrics["auc"] > 0.75
    serve = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_raw"]
    answers = [
        float(serve(**raw_row(serve, fare))["probabilities"][0, 0])
        for fare in (2.9, 3.1)  # on both sides of the `if`
    ]
    log_odds = [math.log(answer / (1 - answer)) for answer in answers]
    assert abs(log_odds[0] - log_odds[1]) > 0.1


def raw_row(serve: object, fare: float) -> dict[str, tf.Tensor]:
    """One row of the synthetic raw columns, for `serving_raw`."""
    _, inputs = serve.structured_input_signature  # type: ignore[attr-defined]
    values = {"Fare (USD)": fare, "km": 0.1, "kind": "taxi"}
    by_tensor = {make_input_name(column): value for column, value in values.items()}
    return {name: tf.constant([by_tensor[name]], spec.dtype) for name, spec in inputs.items()}
