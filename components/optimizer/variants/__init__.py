"""The registry: every technique's name and the file that holds it. A new technique is one file, one line here, one in
`components.optimizer.config.STAGES`, and one test.

A file is imported when its technique is first asked for: some import converters that take seconds.
"""

from __future__ import annotations

import importlib

from components.optimizer.variants.base import Technique

TECHNIQUES: dict[str, str] = {
    "magnitude_pruned": "components.optimizer.variants.magnitude_pruned",
    "frozen": "components.optimizer.variants.frozen",
    "float16": "components.optimizer.variants.float16",
}


def technique(name: str) -> Technique:
    """The technique of that name."""
    found: Technique = importlib.import_module(TECHNIQUES[name]).TECHNIQUE
    return found
