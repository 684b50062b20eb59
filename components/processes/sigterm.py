"""SIGTERM as a question: work that must end whole looks between two steps whether it was asked to end."""

from __future__ import annotations

import signal
from typing import Any


class SigtermFlag:
    """Remembers SIGTERM from when it is made; calling it says whether the signal came. In the main thread only."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._remember_signal)

    def _remember_signal(self, *_: Any) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked
