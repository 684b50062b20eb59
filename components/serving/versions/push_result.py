"""What a push, a rollback or a promotion came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PushResult:
    """What a push, rollback or their refusal came to.

    Attributes:
        pushed: A new version is in the directory.
        version: The new version, or the live one where nothing was pushed; None where none is live.
        path: Folder of `version`.
        digest: Digest of the model that was to be pushed.
        reason: One sentence.
        provenance: Provenance of the new version.
        already_live: Nothing was pushed because the live version is this model.
        candidate: The policy by which the version is tried beside the live one; empty: it is live.
    """

    pushed: bool
    version: int | None
    path: Path | None
    digest: str
    reason: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    already_live: bool = False
    candidate: str = ""

    @property
    def is_live(self) -> bool:
        """Whether the model that was to be pushed is the live one; a candidate is not, yet."""
        return (self.pushed and not self.candidate) or self.already_live
