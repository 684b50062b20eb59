"""What may be chosen about the search for settings. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, model_validator

from taxiway.components.config_section import Section
from taxiway.components.errors import ConfigError
from taxiway.components.training.config import ModelConfig, TrainingConfig
from taxiway.components.training.hyperparameters import apply_values, encode_value, read_value

SEARCHED = ("model.", "training.")
FIXED = {
    "model.kind": "the preprocessing depends on it",
    "model.function": "the search is for one function's arguments",
    "training.strategy": "trials train on one device",
    "training.replicas": "trials train on one device",
    "training.cluster": "trials train on one device",
    "training.input": "the rows are read once for all trials",
    "training.class_weights": "the rows are weighed once for all trials",
    "training.sample_weight": "the rows are weighed once for all trials",
    "training.best_metric": "trials are compared by it",
    "training.warm_start": "trials begin with fresh weights",
    "training.checkpoint": "trials write none",
    "training.label_smoothing": "it changes the loss that trials are compared by",
}
"""Settings, and sections of them, that no search may change, with the reason."""


class IntRange(Section):
    """Whole numbers from `low` to `high`, both included."""

    low: StrictInt
    high: StrictInt
    log: bool = False
    """Whether equal factors count alike, not equal differences."""

    @model_validator(mode="after")
    def _check_ends(self) -> IntRange:
        return _check_range(self)


class FloatRange(Section):
    """Numbers from `low` to `high`."""

    low: float
    high: float
    log: bool = False
    """Whether equal factors count alike, not equal differences."""

    @model_validator(mode="after")
    def _check_ends(self) -> FloatRange:
        return _check_range(self)


class Choices(Section):
    """One of some values, in no order."""

    choices: tuple[Any, ...] = Field(min_length=1)


def _check_range(value: Any) -> Any:
    if value.low >= value.high:
        raise ValueError(f"low is below high, not {value.low:g} and {value.high:g}")
    if value.log and value.low <= 0:
        raise ValueError(f"log: true needs a low above 0, not {value.low:g}")
    return value


def _accept_list(value: Any) -> Any:
    """A list is a shorter way to write `choices`."""
    return {"choices": value} if isinstance(value, list | tuple) else value


Searched = Annotated[IntRange | FloatRange | Choices, BeforeValidator(_accept_list)]
Space = dict[str, Searched]


class TuningConfig(Section):
    """The search for settings of the model and its training, by trials that the eval split judges."""

    enabled: bool = False
    """Adds the node Tuner, whose settings the Trainer takes."""
    trials: int = Field(30, ge=1, le=100_000)
    """Trials in all, those of an interrupted search included. The first has the configured settings."""
    timeout_seconds: float = Field(0.0, ge=0)
    """No trial begins after this, and the one under way ends; 0: no limit."""
    parallel: int = Field(0, ge=0, le=256)
    """Trials at once, each in a process of its own with its own copy of the rows; 0: one for each GPU, else one for
    two processor cores, 8 at most. With one, the same seed gives the same trials."""
    pruner: Literal["successive_halving", "hyperband", "median", "none"] = "successive_halving"
    """Ends trials early that do badly on the eval split."""
    space: Space = Field(default_factory=dict)
    """Settings of the sections `model` and `training` by their dotted names: `{low, high}` with `log: true` where
    factors count, or a list of values. Empty: a space that suits the model's kind, or the numbers and switches among
    your own function's arguments."""
    seed: int = Field(1, ge=0)

    def check_space(self, model: ModelConfig, training: TrainingConfig) -> None:
        """Checks that every setting is one, and takes both ends or all choices.

        Raises:
            ConfigError: It names the setting and what is accepted.
        """
        for name, searched in self.space.items():
            check_name(name)
            read_value(model, training, name)
            for value in list_ends(searched):
                apply_values(model, training, {name: encode_value(value)})


def check_name(name: str) -> None:
    """Raises `ConfigError` for a setting that no search may change."""
    reason = next((why for fixed, why in FIXED.items() if name == fixed or name.startswith(f"{fixed}.")), "")
    if reason or not name.startswith(SEARCHED):
        raise ConfigError(
            f"tuning.space cannot hold {name!r}{f': {reason}' if reason else ''}.",
            "Search settings of the sections model and training, such as training.optimizer.learning_rate.",
        )


def list_ends(searched: IntRange | FloatRange | Choices) -> tuple[Any, ...]:
    """Both ends of a range; all choices."""
    return searched.choices if isinstance(searched, Choices) else (searched.low, searched.high)


def dump_space(space: Mapping[str, IntRange | FloatRange | Choices]) -> dict[str, Any]:
    """As JSON values."""
    return {name: searched.model_dump(mode="json") for name, searched in sorted(space.items())}
