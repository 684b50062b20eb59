"""What is changed in Apache Beam: it looks at the signature of a function once. Beam is imported when it is asked for.

Where a release of Beam has moved what is changed, `remember_signatures` raises a `TaxiwayError` that says so;
`tests/components/beam/test_beam_private.py` finds it before users do.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from taxiway.components.private_parts import find_private_part

_MODULE, _NAME = "apache_beam.transforms.core", "get_function_args_defaults"
_Arguments = tuple[list[str], list[Any]]


def remember_signatures() -> None:
    """Makes Beam, in this process, ask for the arguments of a function once. Again is harmless.

    Beam asks each time that it looks at a DoFn, for every method: tens of thousands of times for a pipeline of TFT or
    TFMA, a tenth to a quarter of what such a pipeline costs on small data.

    Missing in Beam's public API: `DoFn.get_function_arguments` could be overridden, but in our own DoFns alone.

    Raises:
        TaxiwayError: Beam asks by another function.
    """
    original = find_private_part(_MODULE, _NAME, __name__)
    if not hasattr(original, "original"):
        setattr(importlib.import_module(_MODULE), _NAME, _remember_arguments(original))


def _remember_arguments(original: Callable[[Any], _Arguments]) -> Callable[[Any], _Arguments]:
    of_methods: WeakKeyDictionary[Any, _Arguments] = WeakKeyDictionary()

    def get_arguments(function: Any) -> _Arguments:
        # Only methods of classes: what a method of one object is called with is the same for the next object.
        if not isinstance(function, types.MethodType) or not isinstance(function.__func__, types.FunctionType):
            return original(function)
        found = of_methods.get(function.__func__)
        if found is None:
            found = of_methods[function.__func__] = original(function)
        return list(found[0]), list(found[1])

    get_arguments.original = original  # type: ignore[attr-defined]
    return get_arguments
