"""The default spaces: every kind's holds the configured settings, and every setting takes both ends."""

from __future__ import annotations

import pytest

from taxiway.components.errors import ConfigError
from taxiway.components.training import ModelConfig, TrainingConfig
from taxiway.components.tuner.config import Choices, FloatRange, IntRange, TuningConfig
from taxiway.components.tuner.space import build_space, check_ends, choose_first_values

FUNCTION = "tests.components.tuner.users_model.build_model"


@pytest.mark.parametrize("kind", ["tabular", "wide_and_deep", "mlp", "linear"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_default_space_holds_the_configured_settings(kind: str, optimizer: str) -> None:
    model = ModelConfig.model_validate({"kind": kind})
    training = TrainingConfig.model_validate({"optimizer": {"name": optimizer, "weight_decay": 0.01}})
    space = build_space(TuningConfig(), model, training)
    check_ends(space, model, training)
    first = choose_first_values(space, model, training)
    assert first is not None
    assert first["training.optimizer.learning_rate"] == training.optimizer.learning_rate
    assert ("training.optimizer.weight_decay" in space) == (optimizer == "adamw")
    assert ("model.hidden_units" in space) == (kind != "linear")


def test_numbers_and_switches_among_a_functions_arguments_are_searched() -> None:
    model = ModelConfig(function=FUNCTION, arguments={"size": 8})
    space = build_space(TuningConfig(), model, TrainingConfig())
    own = {name.rpartition(".")[2]: searched for name, searched in space.items() if name.startswith("model.")}
    assert own == {
        "size": IntRange(low=2, high=32, log=True),
        "dropout": FloatRange(low=0.05, high=0.6, log=True),
        "bias": Choices(choices=(True, False)),
    }
    first = choose_first_values(space, model, TrainingConfig())
    assert first == {"training.optimizer.learning_rate": 0.002, "model.arguments.size": 8,
                     "model.arguments.dropout": 0.2, "model.arguments.bias": True}  # fmt: skip


def test_settings_outside_of_the_space_are_no_first_trial() -> None:
    tuning = TuningConfig.model_validate({"space": {"model.dropout": {"low": 0.3, "high": 0.5}}})
    space = build_space(tuning, ModelConfig(), TrainingConfig())
    assert list(space) == ["model.dropout"]
    assert choose_first_values(space, ModelConfig(), TrainingConfig()) is None


def test_nothing_to_search_is_said() -> None:
    with pytest.raises(ConfigError, match="nothing to search"):
        check_ends({}, ModelConfig(), TrainingConfig())
