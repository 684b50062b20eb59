"""The search space as it is written: typed, and refused where no setting takes it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from taxiway.components.errors import ConfigError
from taxiway.components.training import ModelConfig, TrainingConfig
from taxiway.components.tuner.config import Choices, FloatRange, IntRange, TuningConfig


def check(**space: object) -> None:
    tuning = TuningConfig.model_validate({"space": {name.replace("__", "."): value for name, value in space.items()}})
    tuning.check_space(ModelConfig(), TrainingConfig())


def test_the_way_a_range_is_written_says_its_type() -> None:
    space = TuningConfig.model_validate(
        {"space": {"model.embedding_dim": {"low": 4, "high": 16}, "model.dropout": {"low": 0, "high": 0.5},
                   "model.hidden_units": [[8], [16, 8]], "training.optimizer.name": {"choices": ["adam", "sgd"]}}}
    ).space  # fmt: skip
    assert space["model.embedding_dim"] == IntRange(low=4, high=16)
    assert space["model.dropout"] == FloatRange(low=0, high=0.5)
    assert space["model.hidden_units"] == Choices(choices=([8], [16, 8]))
    assert space["training.optimizer.name"] == Choices(choices=("adam", "sgd"))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"low": 2, "high": 2}, "low is below high"),
        ({"low": 0.0, "high": 1.0, "log": True}, "above 0"),
        ({"low": 1, "high": 2, "step": 1}, "step"),
        ([], "at least 1"),
        ("wide", "dictionary"),
    ],
)
def test_what_is_no_range_is_refused(written: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TuningConfig.model_validate({"space": {"model.dropout": written}})


@pytest.mark.parametrize(
    ("name", "searched", "message"),
    [
        ("model.droput", [0.1], "no setting.*dropout"),
        ("training.optimiser.learning_rate", [0.1], "no setting.*optimizer"),
        ("model", [0.1], "cannot hold"),
        ("data.path", ["a"], "cannot hold"),
        ("model.kind", ["mlp", "linear"], "preprocessing depends"),
        ("training.input.mode", ["memory"], "rows are read once"),
        ("model.dropout", {"low": 0.1, "high": 1.5}, "less than 1"),
        ("model.hidden_units", [[8], [0]], "positive"),
    ],
)
def test_what_no_setting_takes_is_refused_when_the_configuration_is_read(
    name: str, searched: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        check(**{name.replace(".", "__"): searched})


def test_arguments_of_the_users_own_function_may_have_any_name() -> None:
    check(model__arguments__depth={"low": 1, "high": 3})
