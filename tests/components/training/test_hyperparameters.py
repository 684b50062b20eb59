"""Hyperparameters set settings, and are refused where they are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.errors import ConfigError
from taxiway.components.training import ModelConfig, TrainingConfig
from taxiway.components.training.hyperparameters import apply_values, decode_value, encode_value, read_value


def test_settings_at_any_depth_are_set() -> None:
    values = {"model.hidden_units": "[7, 5]", "training.optimizer.learning_rate": 0.5, "model.arguments.depth": 3}
    model, training = apply_values(ModelConfig(), TrainingConfig(epochs=2), values)
    assert (model.hidden_units, model.arguments) == ((7, 5), {"depth": 3})
    assert (training.optimizer.learning_rate, training.epochs) == (0.5, 2)
    assert apply_values(ModelConfig(kind="tabular"), TrainingConfig(), {})[0] == ModelConfig(kind="tabular")


@pytest.mark.parametrize(
    ("name", "value"), [("units", 3), ("model", 3), ("model.dropuot", 0.1), ("training.optimizer.x.y", 1)]
)
def test_what_is_no_setting_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match="no setting"):
        apply_values(ModelConfig(), TrainingConfig(), {name: value})


def test_what_a_setting_does_not_take_is_refused_with_the_value() -> None:
    with pytest.raises(ConfigError, match=r"model\.dropout 2.*less than 1"):
        apply_values(ModelConfig(), TrainingConfig(), {"model.dropout": 2})


JSON_VALUES = st.recursive(
    st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | st.text("ab -"),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(JSON_VALUES)
def test_values_survive_their_plain_form(value: object) -> None:
    plain = encode_value(value)
    assert isinstance(plain, bool | int | float | str)
    assert decode_value(plain) == value


def test_present_values_are_read() -> None:
    model = ModelConfig(arguments={"depth": 4})
    assert read_value(model, TrainingConfig(), "model.arguments.depth") == 4
    assert read_value(model, TrainingConfig(), "model.arguments.other") is None
    assert read_value(model, TrainingConfig(epochs=3), "training.epochs") == 3
    with pytest.raises(ConfigError, match="no setting"):
        read_value(model, TrainingConfig(), "training.epoch")
