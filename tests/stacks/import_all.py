"""Run on a stack: imports every module of Taxiway and prints as JSON how many there are and which fail, and why."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import taxiway
from taxiway.environment import set_environment


def import_below(package: ModuleType) -> Iterator[tuple[str, str]]:
    """Each module below a package, with its error; empty where there is none."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if found.name.rpartition(".")[2] == "__main__":
            continue
        try:
            module = importlib.import_module(found.name)
        except Exception as error:
            yield found.name, f"{type(error).__name__}: {error}"
            continue
        yield found.name, ""
        if found.ispkg:
            yield from import_below(module)


if __name__ == "__main__":
    set_environment()
    errors = dict(import_below(taxiway))
    print(json.dumps({"modules": len(errors), "failed": {name: text for name, text in errors.items() if text}}))
