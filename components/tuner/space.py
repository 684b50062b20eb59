"""The space that is searched where the configuration names none."""

from __future__ import annotations

import inspect
from typing import Any

from taxiway.components.errors import ConfigError
from taxiway.components.training.config import ModelConfig, TrainingConfig
from taxiway.components.training.hyperparameters import apply_values, encode_value, read_value
from taxiway.components.tuner.config import Choices, FloatRange, IntRange, Space, TuningConfig, list_ends
from taxiway.components.user_functions import import_function

RATE_FACTOR, ARGUMENT_FACTOR = 5.0, 4
LARGEST_DROPOUT = 0.5
DECAYING = ("adamw", "lamb")
"""Optimizers whose weight decay is worth a search."""
_HIDDEN_UNITS = {
    "tabular": ((64, 64), (128, 128), (256, 256), (128, 128, 128)),
    "wide_and_deep": ((64, 32), (128, 64), (256, 128), (128, 64, 32)),
    "mlp": ((64, 32), (128, 64), (256, 128), (128, 64, 32)),
}
NOT_SEARCHED = ("features", "task", "units")
"""Arguments of a user's function that the trainer gives."""


def build_space(tuning: TuningConfig, model: ModelConfig, training: TrainingConfig) -> Space:
    """The configured space, or the default one.

    Raises:
        ConfigError: Your own function has no argument that could be searched, and cannot be imported.
    """
    if tuning.space:
        return dict(tuning.space)
    common = _build_training_space(training)
    return common | (_build_argument_space(model) if model.function else _build_kind_space(model))


def choose_first_values(space: Space, model: ModelConfig, training: TrainingConfig) -> dict[str, Any] | None:
    """The configured settings as a point of the space; None where they lie outside of it."""
    values = {name: encode_value(read_value(model, training, name)) for name in space}
    defaults = _read_defaults(model) if model.function else {}
    for name in space:
        if values[name] is None:
            values[name] = encode_value(defaults.get(name.removeprefix("model.arguments.")))
    inside = all(_holds_value(space[name], value) for name, value in values.items())
    return values if inside else None


def _holds_value(searched: IntRange | FloatRange | Choices, value: Any) -> bool:
    if isinstance(searched, Choices):
        return value in [encode_value(each) for each in searched.choices]
    return isinstance(value, int | float) and searched.low <= value <= searched.high


def _build_training_space(training: TrainingConfig) -> Space:
    rate = training.optimizer.learning_rate
    space: Space = {
        "training.optimizer.learning_rate": FloatRange(low=rate / RATE_FACTOR, high=rate * RATE_FACTOR, log=True)
    }
    if training.optimizer.name in DECAYING and training.optimizer.weight_decay:
        decay = training.optimizer.weight_decay
        space["training.optimizer.weight_decay"] = FloatRange(low=decay / 10, high=decay * 10, log=True)
    return space


def _build_kind_space(model: ModelConfig) -> Space:
    if model.kind == "linear":
        return {}
    sizes = dict.fromkeys((tuple(model.hidden_units), *_HIDDEN_UNITS[model.kind]))
    space: Space = {
        "model.hidden_units": Choices(choices=tuple(list(size) for size in sizes)),
        "model.dropout": FloatRange(low=0.0, high=max(LARGEST_DROPOUT, model.dropout)),
        "model.embedding_dim": _range_around(model.embedding_dim),
    }
    if model.kind == "tabular":
        space["model.piecewise_dim"] = _range_around(model.piecewise_dim)
    if model.kind == "wide_and_deep":
        space["model.linear"] = Choices(choices=(True, False))
    return space


def _range_around(value: int) -> IntRange:
    return IntRange(low=max(value // ARGUMENT_FACTOR, 1), high=value * ARGUMENT_FACTOR, log=True)


def _build_argument_space(model: ModelConfig) -> Space:
    """The numbers and switches among a function's arguments, around what is configured or the argument's default."""
    space: Space = {}
    for name, default in _read_defaults(model).items():
        searched = _search_around(default)
        if searched is not None:
            space[f"model.arguments.{name}"] = searched
    return space


def _read_defaults(model: ModelConfig) -> dict[str, Any]:
    parameters = inspect.signature(import_function(model.function, "model.function")).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty and p.name not in NOT_SEARCHED}
    return defaults | model.arguments


def _search_around(default: Any) -> IntRange | FloatRange | Choices | None:
    if isinstance(default, bool):
        return Choices(choices=(True, False))
    if isinstance(default, int) and default > 0:
        return _range_around(default)
    if isinstance(default, float) and default > 0:
        # A share stays one: dropout of .3 must not become 1.2.
        high = min(default * ARGUMENT_FACTOR, (1 + default) / 2) if default < 1 else default * ARGUMENT_FACTOR
        return FloatRange(low=default / ARGUMENT_FACTOR, high=high, log=True)
    return None


def check_ends(space: Space, model: ModelConfig, training: TrainingConfig) -> None:
    """Raises `ConfigError` where a setting does not take an end of what is searched, or nothing is searched."""
    if not space:
        raise ConfigError("There is nothing to search.", "Name settings under tuning.space.")
    for name, searched in space.items():
        for value in list_ends(searched):
            apply_values(model, training, {name: encode_value(value)})
