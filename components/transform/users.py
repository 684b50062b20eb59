"""Calls the user's own preprocessing function, without the columns that the configuration leaves out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from taxiway.components.errors import ConfigError
from taxiway.components.transform.preprocessing import drop_nonfinite
from taxiway.components.user_functions import import_function


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """Calls the function that `preprocessing.function` names.

    Args:
        inputs: Raw columns. Those in `features.leave_out` are kept from the function: the served model does not ask for
            them, so that what it needs of them would be missing in every request. Numbers that are not finite are
            missing, as for the built-in function: empty in a sparse column, NaN in a dense one.
        custom_config: The settings, as for the built-in function; handed on where the function takes them.

    Raises:
        ConfigError: the function cannot be imported, or returns no features.
    """
    path = custom_config["preprocessing"]["function"]
    function = import_function(path, "preprocessing.function")
    label, left_out = custom_config["label"], custom_config["features"]["leave_out"]
    given = {
        name: value if name == label else drop_nonfinite(value)
        for name, value in inputs.items()
        if name not in left_out
    }
    settings = [custom_config] if len(inspect.signature(function).parameters) > 1 else []
    outputs = function(given, *settings)
    if not isinstance(outputs, Mapping) or label not in outputs:
        raise ConfigError(
            f"preprocessing.function {path!r} returned {_describe_outputs(outputs)}.",
            f"Return a dict of tensors, the label {label!r} among them.",
        )
    return dict(outputs)


def _describe_outputs(outputs: Any) -> str:
    return f"only {', '.join(sorted(outputs))}" if isinstance(outputs, Mapping) else type(outputs).__name__
