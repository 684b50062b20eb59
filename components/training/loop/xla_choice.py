"""Chooses whether XLA compiles the steps: runs a few calls without and a few with, and keeps the faster way."""

from __future__ import annotations

import logging
import statistics

import tensorflow as tf

from taxiway.components.training.loop.history import History
from taxiway.components.training.loop.loop import Action, Loop

LOG = logging.getLogger(__name__)

CALLS = 4
"""Calls of the inner loop on each side; the first traces and is not counted."""
LEAST_SECONDS = 15.0
"""A run that would end earlier than this is not worth a compilation, which takes seconds."""


class XlaChoice(Action):
    """Tries both and keeps the faster. Every step that is tried trains."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.speeds: dict[bool, list[float]] = {False: [], True: []}
        self.decided = False

    def is_due(self, loop: Loop) -> bool:
        """Only calls of the size that stays are compared: short ones hold more of the way in and out."""
        begun = bool(self.speeds[False]) or loop.seconds_left > LEAST_SECONDS
        return not self.decided and loop.settled and begun

    def run_action(self, loop: Loop) -> None:
        speeds = self.speeds[loop.stepper.compiled]
        speeds.append(loop.rows_per_second)
        if len(speeds) < CALLS:
            return
        if not loop.stepper.compiled:
            loop.use_xla(True)
            return
        plain, compiled = (statistics.median(self.speeds[side][1:]) for side in (False, True))
        self.history.add_event(
            "xla", chosen=compiled > plain, plain_rows_per_second=plain, xla_rows_per_second=compiled
        )
        LOG.info("XLA: %.0f rows/s with, %.0f without", compiled, plain)
        self._settle_choice(loop, compiled > plain)

    def recover_from_error(self, loop: Loop, error: tf.errors.OpError) -> bool:
        """A model that XLA cannot compile is trained without it. Nothing of the failed call was applied."""
        if self.decided or not loop.stepper.compiled:
            return False
        self.history.add_event("xla", chosen=False, reason=error.message[:500])
        LOG.warning("XLA cannot compile this model, which is trained without: %s", error.message[:500])
        self._settle_choice(loop, False)
        return True

    def _settle_choice(self, loop: Loop, compiled: bool) -> None:
        self.decided = True
        if compiled != loop.stepper.compiled:
            loop.use_xla(compiled)
