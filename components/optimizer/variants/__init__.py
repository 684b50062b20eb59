"""One file a technique. `taxiway.components.optimizer.techniques` registers them."""

from __future__ import annotations

import importlib

from taxiway.components.optimizer.candidate import Technique
from taxiway.components.optimizer.techniques import TECHNIQUES


def load_technique(name: str) -> Technique:
    """Imports the file of a technique, if that has not been done, and returns the technique."""
    module, _, attribute = TECHNIQUES[name].module.partition(":")
    technique: Technique = getattr(importlib.import_module(module), attribute)
    return technique
