"""The names that the training core exports lazily."""

import importlib
import inspect
import subprocess
import sys


def test_no_module_hides_an_exported_function() -> None:
    """A submodule of the same name would replace the function once anyone imports it."""
    code = (
        "import pkgutil, importlib, taxiway.components.training as package\n"
        "modules = {each.name for each in pkgutil.iter_modules(package.__path__)}\n"
        "print(sorted(modules & set(package.__all__)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_every_exported_name_is_there() -> None:
    package = importlib.import_module("taxiway.components.training")
    for name in package.__all__:
        assert not inspect.ismodule(getattr(package, name)), name
