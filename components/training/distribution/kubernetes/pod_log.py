"""The output of a pod as a file, whole also where the connection to the API server breaks."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from taxiway.components.errors import TrainingError
from taxiway.components.training.distribution.kubernetes.api import ApiUnavailableError

LOG = logging.getLogger(__name__)

OVERLAP_SECONDS = 30
"""Lines so much older than the last one are asked for again: clocks differ. What is known already is left out."""
MOST_TRIES = 30
"""So often the last lines of a pod that has ended are asked for where the connection breaks."""
_STAMP = re.compile(rb"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?(?:Z|[+-]\d\d:\d\d) ")


class PodLog:
    """Copies a pod's output into a file.

    Args:
        file: The file; lines are appended.
        follow: Function that gives the lines, each after its time, from so many seconds ago on; None: from the first.
    """

    def __init__(self, file: Path, follow: Callable[[int | None], Iterator[bytes]]) -> None:
        self.file, self.follow = file, follow
        self.last = (b"", b"")
        self.copied, self.given = 0, 0  # lines of that time: several may have the same
        self.heard: float | None = None

    def copy_to_end(self, is_over: Callable[[], bool], poll_seconds: float) -> None:
        """Copies until the pod has ended, and follows again where the connection did.

        Args:
            is_over: Whether the pod has ended; looked at before it is followed, so that its last lines are read.
            poll_seconds: The time until it is followed again.
        """
        tries = 0
        while tries < MOST_TRIES:
            over = is_over()
            tries += over
            try:
                self._copy_lines()
                if over:
                    return
            except ApiUnavailableError as error:
                LOG.info("%s is followed again: %s", self.file.name, error)
            except TrainingError as error:  # the pod is gone; the log alone is lost
                LOG.warning("%s ends here: %s", self.file.name, error)
                return
            time.sleep(poll_seconds)

    def _copy_lines(self) -> None:
        since = None if self.heard is None else round(time.monotonic() - self.heard) + OVERLAP_SECONDS
        self.given = 0
        with self.file.open("ab") as out:
            for line in self.follow(since):
                self.heard = time.monotonic()
                if new := self._take_new(line):
                    out.write(new)
                    out.flush()

    def _take_new(self, line: bytes) -> bytes:
        """The line without its time; empty where it was copied already."""
        found = _STAMP.match(line)
        if not found:
            return line
        stamp = (found["second"], (found["fraction"] or b"").ljust(9, b"0"))  # some drop the zeros at its end
        if stamp < self.last:
            return b""
        if stamp > self.last:
            self.last, self.copied, self.given = stamp, 0, 0
        self.given += 1
        if self.given <= self.copied:
            return b""
        self.copied += 1
        return line[found.end() :]
