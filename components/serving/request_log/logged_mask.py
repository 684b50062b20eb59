"""What a record of the request log says of its own masks, so that a later push's settings are not taken for them.

TensorFlow Serving's `LogMetadata` has a list of texts for the tags of the SavedModel. Our servers add to it: one text
that says that the record speaks of masks, and one for each column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SPEAKS, DROPPED, HASHED = "taxiway:masks", "taxiway:dropped:", "taxiway:hashed:"


@dataclass(frozen=True)
class LoggedMask:
    """Columns (or inputs) that a record does not hold as they were sent."""

    dropped: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()


def write_mask(mask: LoggedMask) -> list[str]:
    """The tags of a record."""
    dropped, hashed = sorted(mask.dropped), sorted(mask.hashed)
    return [SPEAKS, *(DROPPED + name for name in dropped), *(HASHED + name for name in hashed)]


def read_mask(tags: Iterable[str]) -> LoggedMask | None:
    """The mask; None of a record that does not say, such as another server's."""
    tags = list(tags)
    if SPEAKS not in tags:
        return None
    return LoggedMask(
        *(frozenset(t.removeprefix(kind) for t in tags if t.startswith(kind)) for kind in (DROPPED, HASHED))
    )
