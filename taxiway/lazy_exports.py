"""Exports of a package that are imported when they are first asked for."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taxiway.environment import choose_legacy_keras


def export_lazily(package: str) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Makes a package's `__all__`, `__getattr__` and `__dir__` of the imports in its stub, `__init__.pyi`.

    The imports stand in the stub alone, so that the code of a node does not seem to import every other node's
    (`taxiway.pipeline.code_fingerprint`). A component loads TFX, which chooses its Keras when it is imported: the
    choice is made before.

    Args:
        package: Name of the package; its `__init__.py` is being imported.
    """
    module = sys.modules[package]
    exports = _read_exports(Path(str(module.__file__)).with_suffix(".pyi"))

    def load_export(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        choose_legacy_keras()
        origin, attribute = exports[name]
        value = getattr(importlib.import_module(origin), attribute)
        setattr(module, name, value)
        return value

    return sorted(exports), load_export, lambda: sorted({*vars(module), *exports})


def _read_exports(stub: Path) -> dict[str, tuple[str, str]]:
    """By exported name: the module that has it, and its name there."""
    imports = [node for node in ast.parse(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: (str(node.module), alias.name) for node in imports for alias in node.names}
