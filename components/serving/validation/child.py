"""The process in which `validate` runs: TensorFlow without Keras, which a server does not have either.

TensorFlow imports Keras when it is imported, and goes on where that fails (`tensorflow/__init__.py`). A SavedModel
needs no Keras, which is a quarter of the start-up. `python -m taxiway.components.serving.validation.child`.
"""

from __future__ import annotations

import sys
from typing import Any

from taxiway.components.processes import subprocesses


def main(job: dict[str, Any]) -> dict[str, Any]:
    """The child."""
    if "tensorflow" not in sys.modules:
        # None is Python's own way to say: not to be imported.
        sys.modules["tf_keras"] = None  # type: ignore[assignment]
    from taxiway.components.serving.validation.validate import validate_candidate

    return validate_candidate(job)


if __name__ == "__main__":
    subprocesses.run_child_main(main)
