"""Functions that the configuration names by a dotted path."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from taxiway.components.errors import ConfigError, TaxiwayError, describe_foreign_error
from taxiway.components.extensions import Group, load_extension


def import_function(path: str, key: str, group: Group | None = None) -> Callable[..., Any]:
    """The function behind a dotted path.

    Args:
        path: Dotted path, such as `mine.preprocessing_fn`; without a dot, a name that an installed package adds.
        key: Key of the configuration that names it, for the error.
        group: Group of entry points in which a name without a dot is looked up.

    Raises:
        ConfigError: It cannot be imported.
    """
    if group and "." not in path and (found := load_extension(group, path)):
        added: Callable[..., Any] = found
        return added
    module, _, name = path.rpartition(".")
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except TaxiwayError:
        raise
    except Exception as error:  # a module of the user's may raise anything
        raise ConfigError(
            f"{key} {path!r} cannot be imported: {describe_foreign_error(error)}.",
            "Name it package.module.function; modules beside the configuration file can be imported.",
        ) from error
    return function
