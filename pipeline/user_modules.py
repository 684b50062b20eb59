"""The user's own modules: the functions that the configuration names lie in files beside it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import taxiway
from taxiway.components.errors import ConfigError
from taxiway.pipeline.config import PipelineConfig


def list_user_functions(config: PipelineConfig) -> list[str]:
    """Dotted paths of the user's functions that the configuration names."""
    named = (config.preprocessing.function, config.model.function, config.pipeline_function)
    return [dotted for dotted in named if dotted]


def make_importable(config: PipelineConfig) -> None:
    """Adds the configuration's folder to the module search path of this process and of those that it starts.

    Any name is free but `taxiway`. Here the folder comes last, so that no file in it replaces a library's module.

    Raises:
        ConfigError: The folder has a module called `taxiway`.
    """
    if config.source is None:
        return
    _check_names(config.source.parent)
    folder = str(config.source.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if folder not in inherited:
        os.environ["PYTHONPATH"] = os.pathsep.join([*inherited, folder])


def _check_names(folder: Path) -> None:
    for path in (folder / "taxiway.py", folder / "taxiway" / "__init__.py"):
        if path.is_file() and not path.samefile(str(taxiway.__file__)):
            raise ConfigError(
                f"{path} beside the configuration has Taxiway's own name, and processes would import it instead.",
                "Give it another name, or move the configuration to another folder.",
            )
