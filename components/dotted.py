"""Functions that the configuration names by a dotted path."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from components.errors import ConfigError


def imported(path: str, key: str) -> Callable[..., Any]:
    """The function behind a dotted path.

    Args:
        path: Such as `mine.preprocessing_fn`.
        key: The configuration's key, for the error.

    Raises:
        ConfigError: there is none.
    """
    module, _, name = path.rpartition(".")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{key} {path!r} cannot be imported: {error}.",
            "Name it package.module.function; modules beside the configuration file can be imported.",
        ) from error
    return found
