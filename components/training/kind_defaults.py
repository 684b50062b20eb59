"""What `training` is for a kind of model where the configuration does not say: the settings that suit the kind.

`taxiway init` proposes the same constants, and what follows from the number of rows besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

EPOCHS, PATIENCE, EVERY_STEPS = 100, 12, 100
EMA_DECAY, CLIP_LIMIT = 0.99, 1.0
SCHEDULE = {"name": "constant"}
OPTIMIZER = {"name": "adamw", "learning_rate": 0.002, "weight_decay": 0.01}
_TABULAR: Mapping[str, Any] = {
    "epochs": EPOCHS,
    "evaluate_every_steps": EVERY_STEPS,
    "early_stop": {"patience": PATIENCE},
    "ema_decay": EMA_DECAY,
    "schedule": SCHEDULE,
    "optimizer": OPTIMIZER,
    "clip": {"by": "global_norm", "limit": CLIP_LIMIT},
}
_CHOICES = ("name", "by")
"""Keys that say which optimizer, schedule or limit a section is of."""


def fill_in_training(model: Any, training: Any) -> Any:
    """The section `training` with what suits the model's kind in the place of keys that it does not give.

    Args:
        model: The section `model`: an object, or its keys and values. Only `kind: tabular` without a function of the
            user's own has defaults of its own.
        training: The section `training`, likewise. Of an object, the keys that it was made with are the given ones.

    Returns:
        The given section where there is nothing to fill in, or where it is no section at all; else a dict.
    """
    kind, given = _read_keys(model), _read_keys(training)
    if kind is None or given is None or kind.get("kind") != "tabular" or kind.get("function"):
        return training
    defaults = dict(_TABULAR)
    if given.get("strategy") == "parameter_server":
        defaults["ema_decay"] = 0.0  # its asynchronous steps have no common weights to average
    return _fill_in(given, defaults)


def _read_keys(section: Any) -> dict[str, Any] | None:
    """The keys that a section gives; None where it is none."""
    if isinstance(section, BaseModel):
        return section.model_dump(exclude_unset=True)
    return dict(section) if isinstance(section, Mapping) else None


def _fill_in(given: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`given` over `defaults`, section by section; the rest of another optimizer's section is left alone."""
    if any(given.get(key, defaults.get(key)) != defaults.get(key) for key in _CHOICES):
        return given
    filled = dict(defaults) | given
    for key, value in defaults.items():
        inner = _read_keys(given.get(key)) if isinstance(value, Mapping) else None
        if inner is not None:
            filled[key] = _fill_in(inner, value)
    return filled
