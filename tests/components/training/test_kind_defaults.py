"""Settings of training that the kind of model decides where the configuration does not."""

from __future__ import annotations

from typing import Any

import pytest

from taxiway.components.training import ModelConfig, TrainingConfig
from taxiway.components.training.config import OptimizerConfig
from taxiway.components.training.kind_defaults import fill_in_training

TABULAR = {"kind": "tabular"}


def fill_in(training: Any, model: Any = TABULAR) -> TrainingConfig:
    return TrainingConfig.model_validate(fill_in_training(model, training))


def test_a_kind_alone_brings_all_that_suits_it() -> None:
    training = fill_in({})
    assert (training.epochs, training.evaluate_every_steps, training.early_stop.patience) == (100, 100, 12)
    assert (training.optimizer.name, training.optimizer.learning_rate) == ("adamw", 0.002)
    assert (training.optimizer.weight_decay, training.schedule.name) == (0.01, "constant")
    assert (training.ema_decay, training.clip.limit) == (0.99, 1.0)
    assert (training.max_steps, training.global_batch_size) == (0, 128), "the number of rows decides these"


@pytest.mark.parametrize("model", [{}, {"kind": "mlp"}, {"kind": "tabular", "function": "mine.build"}, None, "tabular"])
def test_other_kinds_bring_nothing(model: Any) -> None:
    given = {"epochs": 2}
    assert fill_in_training(model, given) is given


def test_given_keys_win_each_by_itself() -> None:
    training = fill_in(
        {"epochs": 3, "ema_decay": 0, "optimizer": {"learning_rate": 0.1}, "schedule": {"warmup_steps": 5}}
    )
    assert (training.epochs, training.ema_decay) == (3, 0)
    assert training.optimizer == OptimizerConfig(name="adamw", learning_rate=0.1, weight_decay=0.01)
    assert (training.schedule.name, training.schedule.warmup_steps) == ("constant", 5)


def test_the_rest_of_another_optimizer_is_left_alone() -> None:
    training = fill_in({"optimizer": {"name": "sgd"}, "clip": {"by": "value"}, "schedule": {"name": "cosine"}})
    assert (training.optimizer, training.clip.limit) == (OptimizerConfig(name="sgd"), 10.0)
    assert training.ema_decay == 0.99


def test_what_parameter_servers_refuse_is_not_filled_in() -> None:
    assert fill_in({"strategy": "parameter_server"}).ema_decay == 0
    assert fill_in({"strategy": "parameter_server", "ema_decay": 0.5}).ema_decay == 0.5, "refused with its reason"


def test_an_object_counts_by_the_keys_that_it_was_made_with() -> None:
    model, given = ModelConfig(kind="tabular"), TrainingConfig(seed=4, optimizer=OptimizerConfig(learning_rate=0.1))
    training = fill_in(given, model)
    assert (training.seed, training.optimizer.learning_rate, training.optimizer.name) == (4, 0.1, "adamw")
    assert fill_in(training, model) == training
    assert fill_in(TrainingConfig.model_validate(TrainingConfig().model_dump()), model) == TrainingConfig()


@pytest.mark.parametrize("wrong", [None, "text", {"optimizer": None}, {"optimizer": "adam"}, {"name": "x"}])
def test_what_is_no_section_is_refused_as_ever(wrong: Any) -> None:
    with pytest.raises(ValueError, match="TrainingConfig"):
        fill_in(wrong)
