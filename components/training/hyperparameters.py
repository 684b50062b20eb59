"""Hyperparameters are settings by their dotted names, such as `training.optimizer.learning_rate`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from taxiway.components.errors import ConfigError, suggest_matches
from taxiway.components.training.config import ModelConfig, TrainingConfig

Plain = bool | int | float | str
"""What TFX's `HyperParameters` can hold."""


def encode_value(value: Any) -> Plain:
    """A setting's value as a plain one: a list or a mapping becomes its JSON."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(list(value) if isinstance(value, tuple) else value)
    plain: Plain = value
    return plain


def decode_value(value: Plain) -> Any:
    """The value that `encode_value` was given, tuples as lists."""
    return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


def apply_values(
    model: ModelConfig, training: TrainingConfig, values: Mapping[str, Plain]
) -> tuple[ModelConfig, TrainingConfig]:
    """The sections with hyperparameters set in them.

    Args:
        model: The section `model`.
        training: The section `training`.
        values: Plain values by the dotted name of the setting.

    Raises:
        ConfigError: There is no such setting, or it does not take the value.
    """
    content: dict[str, Any] = {"model": model.model_dump(), "training": training.model_dump()}
    for name, value in values.items():
        _set_value(content, name, decode_value(value))
    try:
        return ModelConfig.model_validate(content["model"]), TrainingConfig.model_validate(content["training"])
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        raise ConfigError(f"Hyperparameters that the settings do not take ({shown}): {details}.", REMEDY) from error


REMEDY = "Name settings of the sections model and training, such as training.optimizer.learning_rate."


def read_value(model: ModelConfig, training: TrainingConfig, name: str) -> Any:
    """A setting's present value; None for an argument of the user's function that the configuration leaves out.

    Raises:
        ConfigError: There is no such setting.
    """
    content: Any = {"model": model.model_dump(), "training": training.model_dump()}
    *sections, last = name.split(".")
    for section in sections:
        content = _get_section(content, name, section)
    if last not in content and not _is_argument(name):
        raise _refuse_name(name, last, content)
    return content.get(last)


def _set_value(content: dict[str, Any], name: str, value: Any) -> None:
    *sections, last = name.split(".")
    for section in sections:
        content = _get_section(content, name, section)
    if not sections or (last not in content and not _is_argument(name)):
        raise _refuse_name(name, last, content)
    content[last] = value


def _get_section(content: Any, name: str, section: str) -> dict[str, Any]:
    inner = content.get(section)
    if not isinstance(inner, dict):
        raise _refuse_name(name, section, content)
    return inner


def _is_argument(name: str) -> bool:
    return name.startswith("model.arguments.")


def _refuse_name(name: str, part: str, known: Mapping[str, Any]) -> ConfigError:
    return ConfigError(
        f"The hyperparameter {name!r} is no setting.", f"{suggest_matches(part, known)} {REMEDY}".strip()
    )
