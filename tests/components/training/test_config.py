"""The configuration is refused where it is wrong, and importing it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from pydantic import ValidationError

from taxiway.components.training import ModelConfig, TrainingConfig


def test_importing_the_package_loads_no_tensorflow() -> None:
    code = (
        "import sys, taxiway.components.training as t\n"
        "t.TrainingConfig(); t.train; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": 3},
        {"epochs": 0},
        {"strategy": "mirror"},
        {"ema_decay": 1.0},
        {"schedule": {"name": "piecewise", "boundaries": [10], "factors": [1.0]}},
        {"schedule": {"name": "piecewise", "boundaries": [20, 10], "factors": [1.0, 0.5, 0.1]}},
    ],
)
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig.model_validate(wrong)


@pytest.mark.parametrize(("written", "meant"), [("off", "off"), ("on", "on"), ('"off"', "off"), ("auto", "auto")])
def test_a_bare_on_or_off_of_yaml_is_taken(written: str, meant: str) -> None:
    assert TrainingConfig.model_validate(yaml.safe_load(f"xla: {written}")).xla == meant


def test_hidden_units_are_positive() -> None:
    with pytest.raises(ValidationError, match="positive"):
        ModelConfig(hidden_units=(8, 0))


def test_it_travels_as_json() -> None:
    config = TrainingConfig(class_weights={"yes": 2.0}, profile_steps=(3, 5))
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config
