"""How a component tells the command line about its progress.

A component, or a subprocess of one, calls `report_progress`; the command line follows the file that an environment
variable names. Where the variable is not set (Kubeflow, a unit test) the call does nothing.
"""

from __future__ import annotations

import json
import os
import time

ENVIRONMENT_VARIABLE = "TAXIWAY_PROGRESS_FILE"


def report_progress(component: str, message: str, fraction: float | None = None) -> None:
    """Appends one progress line.

    Args:
        component: The node's id, such as `Trainer`.
        message: Line for the user, such as `step 1200/4000  loss 0.312  81k rows/s  ETA 9 s`.
        fraction: Share of the component's work that is done, 0 to 1, where it is known.
    """
    path = os.environ.get(ENVIRONMENT_VARIABLE)
    if not path:
        return
    line = json.dumps({"time": time.time(), "component": component, "message": message, "fraction": fraction})
    with open(path, "a", encoding="utf-8") as out:  # O_APPEND: short lines from several processes stay whole
        out.write(line + "\n")
