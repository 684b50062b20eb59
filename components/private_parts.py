"""Parts of other packages beyond their public API, asked for by name. Modules called `*_private.py` say which."""

from __future__ import annotations

import importlib
from typing import Any

from taxiway.components.errors import TaxiwayError
from taxiway.components.stack_seam import name_lock


def find_private_part(module: str, name: str, adapted_in: str) -> Any:
    """A part that a release of a package may have moved.

    Args:
        module: Dotted path of the module that has it.
        name: The attribute's name.
        adapted_in: `__name__` of the module of ours that asks.

    Raises:
        TaxiwayError: There is none; it names the lock that has the right release and the module to adapt.
    """
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise TaxiwayError(
            f"This {module.partition('.')[0]} has no {module}.{name} ({error}).",
            f"Install the version that this Taxiway was made for ({name_lock()}), or adapt "
            f"{adapted_in.replace('.', '/')}.py to this one.",
        ) from error
