"""Whether XLA compiles the step, found by trying: a few loops without, a few with, and the faster stays."""

from __future__ import annotations

import logging
import statistics

from components.training.history import History
from components.training.loop import Action, Loop

LOG = logging.getLogger(__name__)

CALLS = 4
"""Calls of the inner loop on each side; the first traces and is not counted."""


class ChooseCompiler(Action):
    """Tries both and keeps the faster. Every step that is tried trains."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.speeds: dict[bool, list[float]] = {False: [], True: []}
        self.decided = False

    def due(self, loop: Loop) -> bool:
        return not self.decided

    def run(self, loop: Loop) -> None:
        speeds = self.speeds[loop.stepper.compiled]
        speeds.append(loop.rows_per_second)
        if len(speeds) < CALLS:
            return
        if not loop.stepper.compiled:
            loop.stepper.use_xla(True)
            return
        plain, compiled = (statistics.median(self.speeds[side][1:]) for side in (False, True))
        self.decided = True
        self.history.event("xla", chosen=compiled > plain, plain_rows_per_second=plain, xla_rows_per_second=compiled)
        LOG.info("XLA: %.0f rows/s with, %.0f without", compiled, plain)
        if compiled <= plain:
            loop.stepper.use_xla(False)
